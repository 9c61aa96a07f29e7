"""Spans of time as people write them: `12h`, `30d`, `2w`."""

import re
from datetime import datetime, timedelta

SPAN = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def after(text: str, now: datetime) -> datetime | None:
    """When a span that begins now ends; None for what is no span. Raises OverflowError."""
    span = SPAN.fullmatch(text)
    return now + timedelta(hours=int(span[1]) * HOURS[span[2]]) if span else None
