"""What was looked at, how it is, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. No secret is ever in it."""

    what: str
    state: State
    found: str
    """How it is, in a sentence."""
    action: str = ""
    """What to do; "" where it is well."""


def ok(what: str, found: str) -> Finding:
    """It is as it should be."""
    return Finding(what, "ok", found)


def warning(what: str, found: str, action: str) -> Finding:
    """The service works, and something may go wrong one day."""
    return Finding(what, "warning", found, action)


def wrong(what: str, found: str, action: str) -> Finding:
    """The service does not work, or gives away what it should keep."""
    return Finding(what, "wrong", found, action)


def seen(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings; a file or directory that cannot be looked at is one, and ends only them."""
    try:
        yield from findings
    except OSError as error:
        said = error.strerror or str(error)
        found = f"{error.filename}: {said}." if error.filename else f"{said}."
        yield wrong(what, found, "Run this as the user of the service: sudo -u commissaire …")
