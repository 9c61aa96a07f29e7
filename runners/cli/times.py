"""Times as people say them on the command line: `-2h`, `yesterday`, `23:00`, ISO 8601."""

import re
from datetime import UTC, datetime, timedelta

import typer

from domain.spans import SECONDS

SPAN = re.compile(r"-(\d{1,6})([smhdw])", re.ASCII)
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
POSITION = re.compile(r"@(\d{1,19})", re.ASCII)
FORMS = "such as -2h, yesterday, 23:00, 2026-11-26T07:19:31 or @4711"
"""What a time may be, for whoever wrote another thing."""
FORMAT = "%Y-%m-%dT%H:%M:%S.%f"


def said_time(text: str, now: datetime | None = None) -> str:
    """A time as the API takes it, in UTC; what is none of these forms stays as it is."""
    now = now or datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    then = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}.get(text)
    if found := SPAN.fullmatch(text):
        try:
            then = now - timedelta(seconds=int(found[1]) * SECONDS[found[2]])
        except OverflowError:
            raise typer.BadParameter(f"{text} is before all times.") from None
    elif found := CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in found.groups())
        then = midnight + timedelta(hours=hour, minutes=minute, seconds=second)
        if then > now:  # the last one that was
            then -= timedelta(days=1)
    return text if then is None else then.strftime(FORMAT)


def known_time(text: str, now: datetime | None = None) -> str:
    """A time as the API takes it, in UTC. Raises BadParameter with the forms that there are."""
    from domain.refusal import Refusal
    from web.http.query_string import moment

    try:
        return moment(said_time(text, now), "time")
    except Refusal:
        raise typer.BadParameter(f"{text!r} is no time: {FORMS}.") from None


def said_position(text: str) -> int | None:
    """Of `@4711`; None where that is no position."""
    found = POSITION.fullmatch(text)
    return int(found[1]) if found else None
