"""Times as people say them (`-2h`, `yesterday`, `23:00`) and read them (`23:04`, `2d ago`)."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from commctl.exits import WrongUse

API_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
AGO_DAYS_MAX = 14
"""Older times are told by their day."""
FORMS = "such as -2h, yesterday, 23:00, 2026-11-26T07:19:31 or @4711"


def is_moment(text: str) -> bool:
    """Whether that is a time in words, or a position."""
    return text.startswith("@") or _moment(text.strip(), datetime.now(UTC), UTC) is not None


def moment(text: str, now: datetime, zone: tzinfo | None = UTC, forms: str = FORMS) -> str:
    """A time in words, as the API takes it. The words are in `zone`: None is that of the system,
    which has had another offset at another time of the year. `forms` are told of what is none."""
    found = _moment(text.strip(), now, zone)
    if found is None:
        raise WrongUse(f"{text!r} is no time: {forms}.")
    return found.astimezone(UTC).strftime(API_FORMAT)


def _moment(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    """In the zone where words are in; without one they are in that of the system."""
    exactly, now = now, now.astimezone(zone).replace(tzinfo=zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    words = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text in words:
        return words[text]
    try:
        if text.startswith("-") and SPAN.fullmatch(text[1:]):
            return exactly - timedelta(seconds=seconds(text[1:]))
        if found := CLOCK.fullmatch(text):
            hour, minute, second = (int(part or 0) for part in found.groups())
            then = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return then if then <= now else then - timedelta(days=1)
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return given if given.tzinfo else given.replace(tzinfo=zone)


def seconds(text: str) -> float:
    """Of a span: `60s`, `1h`, `2.5m`; a number alone is seconds."""
    found = SPAN.fullmatch(text) or SPAN.fullmatch(f"{text}s")
    if found is None:
        raise WrongUse(f"{text!r} is no span of time: such as 90s, 10m, 2h or 1d.")
    return float(found[1]) * SECONDS[found[2]]


def read(text: str) -> datetime:
    """A time of the API: UTC, with an offset or without."""
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def exact(text: str | None) -> str:
    """For programs: RFC 3339, UTC, all digits."""
    return "" if not text else text if text.endswith("Z") else f"{text}Z"


def short(text: str | None, now: datetime) -> str:
    """For people: the clock of today, else how long ago, else the day; of what comes also when."""
    if not text:
        return ""
    then = read(text).astimezone(now.tzinfo)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    days = (now.date() - then.date()).days
    if 0 < days <= AGO_DAYS_MAX:
        return f"{days}d ago"
    return f"{then:%Y-%m-%d %H:%M}" if then > now else f"{then:%Y-%m-%d}"


def full(text: str | None, zone: tzinfo | None) -> str:
    """For people who want it exactly: to the second, with the zone."""
    return f"{read(text).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if text else ""


def age(text: str | None, now: datetime) -> str:
    """How long ago: `58 s`, `12 min`, `3 h`, `2 d`."""
    return span((now - read(text)).total_seconds()) if text else ""


def span(length_s: float) -> str:
    """A length of time in the unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if length_s >= 2 * size:
            return f"{int(length_s // size)} {unit}"
    return f"{max(0, int(length_s))} s"


def stopwatch(length_s: float) -> str:
    """`0:21`, `1:02:03`."""
    whole = max(0, int(length_s))
    hours, minutes = divmod(whole // 60, 60)
    clock = f"{minutes}:{whole % 60:02d}"
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else clock
