"""Records of windows and schedules as GET and PUT answer them."""

from typing import Annotated

from pydantic import Field, JsonValue

from web.schemas.examples import example
from web.schemas.records import TIME, Record

Time = Annotated[str, Field(pattern=f"^{TIME}$")]


EXCEPT: dict[str, JsonValue] = {"except": ["2026-12-24"]}


class WindowRecord(Record):
    """A window, and whether it is open now, or at the time that `at` asks about."""

    name: str
    zone: str
    starts: str
    duration_s: int
    except_dates: list[str] = Field(alias="except")
    open: bool
    until: Time | None = Field(description="Until when at least; `null` where it is not open.")
    next: Time | None = Field(description="When it opens next; `null` where it does not.")

    model_config = example(
        name="nights",
        zone="Europe/Berlin",
        starts="0 22 * * 1-5",
        duration_s=21600,
        **EXCEPT,
        open=False,
        until=None,
        next="2026-11-30T21:00:00.000000",
    )
