"""Commands for a writer, and what became of them."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from domain.commands import fleet_commands
from domain.log.unit import Unit
from domain.log.writer import Writer
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store


def create(unit: Unit, name: str) -> str:
    """A cluster."""
    fleet_commands.create_cluster(unit, name, "default", "")
    return name


def stumble(unit: Unit) -> None:
    """A command with a defect, which shows after it emitted an event."""
    create(unit, "half")
    raise ValueError("a defect")


def names(store: Store) -> list[str]:
    """Clusters that the read model knows."""
    with store.engine.snapshot() as tx:
        return [row[0] for row in tx.execute("SELECT name FROM clusters ORDER BY name").fetchall()]


def queue(writer: Writer, commands: Sequence[Callable[[Unit], Any]]) -> list["Future[Any]"]:
    """Queue commands behind one that waits until all are queued, so that they share a commit."""
    go = threading.Event()
    first = writer.submit(ACT, lambda unit: go.wait(WAIT_TIMEOUT_S))
    futures = [writer.submit(ACT, command) for command in commands]
    go.set()
    first.result(WAIT_TIMEOUT_S)
    return futures


def creating(name: str) -> Callable[[Unit], str]:
    """A command."""
    return lambda unit: create(unit, name)
