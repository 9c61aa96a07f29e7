"""Finishes what a process that died left half-done: large clusters whose removal had started."""

from collections.abc import Callable, Iterable
from functools import partial

from domain import fleet
from domain.event import Act
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal

ACTOR = "runner:removals"


async def finish(writer: Writer, names: Iterable[str], now: Callable[[], str]) -> None:
    """Remove these clusters, batch by batch. Who deleted them has got no answer yet."""
    for name in names:
        act = Act(ACTOR, f"cluster/{name}", now())
        while not await _some(writer, act, name):
            pass


async def _some(writer: Writer, act: Act, name: str) -> bool:
    try:
        return bool(await writer.perform(act, partial(_remove, name=name)))
    except Refusal as refusal:
        # Somebody else finished it; or the database is away, and then it is tried again.
        return refusal.kind == "not_found"


def _remove(unit: Unit, name: str) -> bool:
    return fleet.remove_cluster(unit, name)
