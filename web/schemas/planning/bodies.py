"""Bodies of requests about windows and schedules; the domain knows which values are possible."""

from typing import Annotated, Any

from pydantic import Field

from domain.aggregates.planning.firings import CRON_CHARACTERS_MAX
from domain.aggregates.planning.window import DATES_MAX, DURATION_S_MAX, DURATION_S_MIN
from web.schemas.bodies import Exact
from web.schemas.examples import example
from web.schemas.operation_bodies import WHOLE

ZONE = "The name of a zone, whose clocks count."
CRON = "A cron expression of five fields."
DATE = r"^\d{4}-\d\d-\d\d$"


class WindowBody(Exact):
    """What a PUT of a window asks for: all of it."""

    REFUSES_NULLS = True

    zone: str = Field(description=ZONE, json_schema_extra={"examples": ["Europe/Berlin"]})
    starts: str = Field(
        description=f"{CRON} It opens whenever that fires.",
        json_schema_extra={"maxLength": CRON_CHARACTERS_MAX, "examples": ["0 22 * * 1-5"]},
    )
    duration_s: Annotated[int, WHOLE] = Field(
        description="For how many seconds it is open then.",
        json_schema_extra={"minimum": DURATION_S_MIN, "maximum": DURATION_S_MAX},
    )
    except_dates: list[str] = Field(
        default_factory=list,
        alias="except",
        description="Dates on which it does not open, by the calendar of the zone.",
        json_schema_extra={"maxItems": DATES_MAX, "items": {"type": "string", "pattern": DATE}},
    )

    model_config = example(zone="Europe/Berlin", starts="0 22 * * 1-5", duration_s=21600)


# Any: plain JSON, which is looked at as `BeginBody`.
class ScheduleBody(Exact):
    """What a PUT of a schedule asks for: all of it."""

    REFUSES_NULLS = True

    cron: str = Field(
        description=f"{CRON} Each time that it fires begins one operation.",
        json_schema_extra={"maxLength": CRON_CHARACTERS_MAX, "examples": ["0 2 * * 0"]},
    )
    zone: str = Field(description=ZONE, json_schema_extra={"examples": ["Europe/Berlin"]})
    operation: dict[str, Any] = Field(
        description="The body of a `POST /operations`, without `dry_run`, `plan`,"
        " `starts_at` and `override_policy`."
    )

    model_config = example(
        cron="0 2 * * 0",
        zone="Europe/Berlin",
        operation={"kind": "upgrade", "cluster": "web", "reboot": "if_needed"},
    )
