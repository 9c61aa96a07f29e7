"""Records of windows, gates and schedules as GET and PUT answer them."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from web.schemas.bodies import OperationId
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


class GateRecord(Record):
    """A check of the settings that operations, policies and schedules may name."""

    name: str
    asks: Literal["url", "prometheus"] = Field(
        description="A URL that answers 2xx, or a Prometheus none of whose alerts fire."
    )
    filter: str | None = Field(description="Which alerts; `null` of a URL.")

    model_config = example(name="alerts", asks="prometheus", filter='severity="page"')


class FiringRecord(Record):
    """What became of a firing."""

    due: Time
    outcome: Literal["begun", "not_begun", "missed"]
    operation: OperationId | None = Field(description="Where one was begun.")
    reason: str | None = Field(description="Where none was.")


# Any: plain JSON, as it was sent.
class ScheduleRecord(Record):
    """A schedule, when it fires next, and what became of its last firing."""

    name: str
    cron: str
    zone: str
    operation: dict[str, Any]
    defined_by: str
    defined_at: Time
    next: list[Time] = Field(description="When it fires next; fewer where it fires no more.")
    last: FiringRecord | None

    model_config = example(
        name="sundays",
        cron="0 2 * * 0",
        zone="Europe/Berlin",
        operation={"kind": "upgrade", "cluster": "web", "reboot": "if_needed"},
        defined_by="ada",
        defined_at="2026-11-30T12:00:00.000000",
        next=["2026-12-06T01:00:00.000000", "2026-12-13T01:00:00.000000"],
        last=None,
    )
