"""Where a time is in the log, and what is one event before and after it."""

from typing import NamedTuple

from domain.log import recorder
from domain.log.reading import as_of
from domain.log.transaction import Transaction


class Steps(NamedTuple):
    """Times are in `TIME_FORMAT`; "" where there is none, as before the first event."""

    begin: str
    """When the first event of the log was recorded."""
    end: str
    """And the last."""
    position: int
    """Of the last event that was recorded by then."""
    before: str
    """The last time at which less had happened, and anything had."""
    after: str
    """The first at which more had."""


def steps(tx: Transaction, moment: str) -> Steps:
    """The steps from a time. What was recorded in one go is one step."""
    first = recorder.entries(tx, 0, 1)
    here = as_of.by(tx, moment)
    following = recorder.entries(tx, here.position, 1)
    return Steps(
        first[0].recorded_at if first else "",
        recorder.head(tx).recorded_at,
        here.position,
        as_of.by(tx, here.recorded_at, before=True).recorded_at,
        following[0].recorded_at if following else "",
    )


def recorded_at(tx: Transaction, position: int) -> str:
    """When the event at a position was recorded, or the last one before it."""
    return as_of.at(tx, position).recorded_at
