"""Asks container managers about their nodes in regular intervals, never while a client waits.

A manager is asked for all of its nodes at once. Its reports are kept beside the log, for all
processes; where it does not answer, they grow too old to be shown.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import orjson

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

    def reports(self) -> AsyncIterator[tuple[str, Object]]: ...


class Reported(Protocol):
    """What is known of nodes; see `runners.service.fleet_reader`."""

    async def managers_with_nodes(self) -> list[str]: ...

    async def reports(self, name: str) -> dict[str, str]: ...


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
                said = await self._said(manager)
                known = await self._reported.reports(name)
                await self._keep(name, at, said, known)
        except (NoSuchManager, ManagerFailed, Refusal, PersistenceError, TimeoutError):
            pass
        except Exception as defect:  # noqa: BLE001 - of one manager, and not to be the end of all
            self._on_defect(name, defect)
        return None

    @staticmethod
    async def _said(manager: Reporting) -> dict[str, str]:
        """Reports as JSON, by the name of the node."""
        said: dict[str, str] = {}
        async for name, report in manager.reports():
            said[name] = orjson.dumps(report).decode()
            if len(said) % BREATH_NODES == 0:
                await asyncio.sleep(0)
        return said

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
