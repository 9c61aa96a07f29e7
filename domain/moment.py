"""Times as people and programs write them, made into the one form that the log has."""

import re
from datetime import datetime

from domain.names import quoted
from domain.refusal import invalid

PATTERN = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+]00:00)?"
"""ISO 8601, in UTC; what is left out at the end is zero."""
WRITTEN = re.compile(PATTERN, re.ASCII)


def moment(text: str, key: str) -> str:
    """A time in `TIME_FORMAT`. Refuses what is no time in UTC, and names the key that it is of.

    A time of another zone is refused, not converted: in a query, `+02:00` comes as ` 02:00`.
    """
    if WRITTEN.fullmatch(text):
        try:
            found = datetime.fromisoformat(text.removesuffix("Z").removesuffix("+00:00"))
        except ValueError:
            pass
        else:
            return found.isoformat(timespec="microseconds")
    raise invalid(
        f"{key} must be a time in UTC such as 2015-12-17T15:48:18.710454, not {quoted(text)}.", key
    )
