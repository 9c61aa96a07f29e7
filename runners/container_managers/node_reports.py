"""Asks container managers about their nodes in regular intervals, never while a client waits.

A manager is asked for all of its nodes at once. Its reports are kept beside the log, for all
processes; where it does not answer, they grow too old to be shown. A node that carries the cordon
of an operation that the database lost is to be used again: nobody else would see to that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

import orjson

from domain.commands.fleet_commands import Unit
from domain.event import Act
from domain.log.engine import PersistenceError
from domain.refusal import Refusal
from projections.beside_the_log import node_reports
from runners.container_managers.connections import NoSuchManager
from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes_api import Object
from runners.container_managers.kubernetes_objects import node_name
from runners.leases.ownership import SINGLE_PROCESS, Ownership
from runners.scheduling.protocols import Writes
from runners.scheduling.work_queue import Requeue, WorkQueue

ACTOR = "runner:node-reports"
PARALLEL = 8
"""Container managers that are asked at once."""
ROUND_TIMEOUT_S = 120.0
"""For all pages of one list of nodes."""
BREATH_NODES = 100
"""After so many nodes other tasks of the event loop get their turn."""


class Reporting(Protocol):
    """The nodes of one container manager; see `runners.container_managers.kubernetes`. Raises
    `ManagerFailed`."""

    def reports(self) -> AsyncIterator[tuple[str, Object, list[str]]]: ...


class Reported(Protocol):
    """What is known of nodes; see `runners.service.fleet_reader`."""

    async def managers_with_nodes(self) -> list[str]: ...

    async def reports(self, name: str) -> dict[str, str]: ...

    async def lost_operations(self, names: Collection[str]) -> set[str]: ...


class NodeReports:
    """The process manager: each container manager once in `interval_s`."""

    def __init__(
        self,
        writer: Writes,
        reported: Reported,
        managers: Callable[[str], Awaitable[Reporting]],
        *,
        interval_s: float,
        now: Callable[[], str],
        on_defect: Callable[[str, Exception], None],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._writer = writer
        self._reported = reported
        self._managers = managers
        self._interval_s = interval_s
        self._now = now
        self._on_defect = on_defect
        self._ownership = ownership
        self._queue = WorkQueue(self._refresh, PARALLEL)

    async def run(self) -> None:
        """Until cancelled."""
        async with self._queue.running():
            while True:
                try:
                    for name in await self._reported.managers_with_nodes():
                        if self._ownership.holds(f"container_manager/{name}"):
                            self._queue.enqueue(name)
                except PersistenceError:
                    pass  # the database is away: the next round finds the same
                await asyncio.sleep(self._interval_s)

    async def _refresh(self, name: str) -> Requeue | None:
        """Ask one container manager, and keep what is new; the registrar reports its failures."""
        try:
            async with asyncio.timeout(ROUND_TIMEOUT_S):
                manager = await self._managers(name)
                at = self._now()
                said, cordoned = await self._said(manager)
                known = await self._reported.reports(name)
                await self._keep(name, at, said, known)
                await self._release(name, known, cordoned)
        except (NoSuchManager, ManagerFailed, Refusal, PersistenceError, TimeoutError):
            pass
        except Exception as defect:  # noqa: BLE001 - of one manager, and not to be the end of all
            self._on_defect(name, defect)
        return None

    @staticmethod
    async def _said(manager: Reporting) -> tuple[dict[str, str], dict[str, Sequence[str]]]:
        """Reports as JSON, and operations whose cordons there are, by the name of the node."""
        said: dict[str, str] = {}
        cordoned: dict[str, Sequence[str]] = {}
        async for name, report, operations in manager.reports():
            said[name] = orjson.dumps(report).decode()
            if operations:
                cordoned[name] = operations
            if len(said) % BREATH_NODES == 0:
                await asyncio.sleep(0)
        return said, cordoned

    async def _keep(self, name: str, at: str, said: dict[str, str], known: dict[str, str]) -> None:
        found = {address: said.get(node_name(address), "") for address in known}
        changed = {a: report for a, report in found.items() if report and report != known[a]}
        silent = [a for a, report in found.items() if not report and known[a]]
        await self._writer.perform(
            Act(ACTOR, f"container_manager/{name}", self._now()),
            lambda unit: unit.write_beside(
                lambda tx: node_reports.keep(tx, name, at, changed, silent)
            ),
        )

    async def _release(
        self, name: str, known: Collection[str], cordoned: Mapping[str, Sequence[str]]
    ) -> None:
        """Wish that cordons of operations that were lost are taken away."""
        of_nodes = {address: cordoned.get(node_name(address), ()) for address in known}
        operations = {operation for each in of_nodes.values() for operation in each}
        lost = await self._reported.lost_operations(operations) if operations else set()
        for address, each in of_nodes.items():
            for operation in lost.intersection(each):
                await self._writer.perform(
                    Act(ACTOR, f"operation/{operation}", self._now()),
                    partial(_want_uncordon, name=name, address=address, operation=operation),
                )


def _want_uncordon(unit: Unit, *, name: str, address: str, operation: str) -> None:
    unit.container_manager(name).want_uncordon(address, operation)
