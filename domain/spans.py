"""Spans of time as people write them: `60s`, `1.5h`, `30d`, `2w`."""

import re
from datetime import datetime, timedelta

SPAN = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)([smhdw])", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def after(text: str, now: datetime) -> datetime | None:
    """When a span that begins now ends; None for what is no span. Raises OverflowError."""
    span = SPAN.fullmatch(text)
    return now + timedelta(seconds=float(span[1]) * SECONDS[span[2]]) if span else None
