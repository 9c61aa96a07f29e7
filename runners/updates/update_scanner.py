"""Asks every host that is set up how many updates wait: once a day, and whenever somebody wants.

The host asks its repositories in a step of its own that runs detached, as all steps; only so many
hosts at once, and none that an operation works on. A host that tells as many as before is no event.
"""

import asyncio
import random
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Protocol

from domain.aggregates import host_events as events
from domain.aggregates import operation_events
from domain.aggregates.host import READY, Host
from domain.event import Recorded, seconds_between
from projections.beside_the_log.update_scans import FailedScan, ScanFailureKind
from runners.hosts.outcomes import HostKeyChanged, HostOutcomes, HostUnusable
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.process_manager import Due, ProcessManager
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import POLL_PAUSES, SESSION_S, Connector, StepSession, news_s
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import StepImpossible, sentences
from runners.updates.waiting_updates import asking, found

ACTOR = "runner:updates"
PARALLEL = 16
INTERVAL_S = 24 * 3600.0
SETTLED_S = 600.0
"""A host that was never asked is left alone for so long, and then asked within `FIRST_S`."""
FIRST_S = 3600.0
AFTER_OPERATION_S = 300.0
"""So long after an upgrade it is asked what is left; it may reboot first."""
OCCUPIED_S = 120.0
"""A host that an operation works on is passed over for so long."""
RETRY_S = 3600.0
LIMIT_S = 900.0
"""A host that has not told within this is asked again later."""


class Hosts(Protocol):
    """What is known of hosts; see `runners.service.fleet_reader`."""

    async def scanned(self) -> Sequence[tuple[str, str]]: ...

    async def load(self, address: str) -> Host: ...

    async def occupied(self, address: str) -> bool: ...


class Scan:
    """One question to one host, which may take several sessions."""

    def __init__(self, step_id: str) -> None:
        self.step_id = step_id
        self.begun_at = asyncio.get_running_loop().time()

    @property
    def is_late(self) -> bool:
        """Whether it has taken too long."""
        return asyncio.get_running_loop().time() - self.begun_at > LIMIT_S


class UpdateScanner(ProcessManager):
    """Asks `PARALLEL` hosts at once. `now()` gives the time, `new_id()` the id of a step."""

    def __init__(
        self,
        outcomes: HostOutcomes,
        hosts: Hosts,
        connect: Connector,
        *,
        now: Callable[[], str],
        new_id: Callable[[], str],
        chance: random.Random,
        on_failure: Callable[[str, str], None],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        super().__init__(PARALLEL, ownership=ownership)
        self._outcomes = outcomes
        self._hosts = hosts
        self._connect = connect
        self._now = now
        self._new_id = new_id
        self._chance = chance
        self._on_failure = on_failure
        self._scans: dict[str, Scan] = {}

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """All hosts that are set up, a day after they were asked last."""
        return [
            Due(address, self._pause_s(scanned_at), Priority.RETRY)
            for address, scanned_at in await self._hosts.scanned()
            if self.owns(address, shards)
        ]

    def drop(self, keys: Container[str]) -> None:
        """Forget what they are being asked as well: the steps end by themselves."""
        super().drop(keys)
        self._scans = {address: s for address, s in self._scans.items() if address not in keys}

    def notice(self, recorded: Recorded) -> None:
        """Hosts are asked once they are set up, after an upgrade, and when somebody wants it."""
        event = recorded.event
        address = event.originator_id.partition("/")[2]
        if isinstance(event, operation_events.HostDone) and "packages_changed" in event.evidence:
            address = event.address
        if not self._ownership.holds(address):
            return
        match event:
            case events.Bootstrapped() | events.Recovered():  # `tick` passes over others
                self._queue.enqueue_after(self._first_pause_s(), address)
            case events.CheckRequested(updates=True):
                self._queue.enqueue(address)
            case operation_events.HostDone() if address == event.address:
                self._queue.enqueue_after(AFTER_OPERATION_S, address)
            case events.Removed():
                self._scans.pop(address, None)
                self._queue.forget(address)
            case _:
                pass  # when it is asked next stays as it is

    async def tick(self, key: str) -> Requeue | None:
        """Ask a host, or hear what it says; None where it is gone."""
        host = await self._hosts.load(key)
        if not host.registered:
            self._scans.pop(key, None)
            return None
        if host.status not in READY or host.facts is None:
            return self._later(key)
        if key not in self._scans and await self._hosts.occupied(key):
            return Requeue(OCCUPIED_S, Priority.CONTINUED)
        scan = self._scans.setdefault(key, Scan(f"{self._new_id()}-updates"))
        try:
            commands = asking(host.facts)
            async with self._connect(host) as session:
                report = await session.start(scan.step_id, commands)
                report = await self._watched(session, scan, report)
                if report.state in ("absent", "waiting", "running") and not scan.is_late:
                    return Requeue(0.0, Priority.CONTINUED)
                return await self._settle(host, session, scan, report)
        except StepImpossible as impossible:
            return await self._fail(host, "unsupported", str(impossible))
        except HostKeyChanged as changed:
            return await self._fail(host, "host_key", changed.reason)
        except HostUnusable as unusable:  # the watcher sees to that
            return await self._fail(host, unusable.kind, unusable.reason)

    async def _watched(self, session: StepSession, scan: Scan, report: StepReport) -> StepReport:
        """Watch it for the time of one session."""
        until = asyncio.get_running_loop().time() + SESSION_S
        polls = 0
        while report.state in ("absent", "waiting", "running"):
            if asyncio.get_running_loop().time() > until:
                break
            polls += 1
            await asyncio.sleep(POLL_PAUSES.after(polls))
            report = await session.watch(scan.step_id, wait_s=news_s(until))
        return report

    async def _settle(
        self, host: Host, session: StepSession, scan: Scan, report: StepReport
    ) -> Requeue:
        """Record what it has told, and clear what it left on the host."""
        told = found(report.output) if report.exit_status == 0 else None
        if report.state in ("absent", "waiting", "running", "orphaned"):
            await session.cancel(scan.step_id)
        await session.clear(scan.step_id)
        if told is None:
            if report.state in ("absent", "waiting", "running"):
                late = f"It has not told within {LIMIT_S / 60:.0f} minutes."
                return await self._fail(host, "late", late)
            reason = sentences(report.output) or "It told nothing."
            return await self._fail(host, "command", reason)
        await self._outcomes.find_updates(host, told)
        self._scans.pop(host.name, None)
        return Requeue(INTERVAL_S * self._chance.uniform(0.9, 1.0), Priority.RETRY)

    async def _fail(self, host: Host, kind: ScanFailureKind, reason: str) -> Requeue:
        self._on_failure(host.name, reason)
        await self._outcomes.fail_updates(host, FailedScan(kind, reason))
        return self._later(host.name)

    def _later(self, address: str) -> Requeue:
        self._scans.pop(address, None)
        return Requeue(RETRY_S * self._chance.uniform(0.5, 1.0), Priority.RETRY)

    def _pause_s(self, scanned_at: str) -> float:
        left_s = INTERVAL_S - seconds_between(scanned_at, self._now()) if scanned_at else 0.0
        return max(min(left_s, INTERVAL_S), self._first_pause_s())

    def _first_pause_s(self) -> float:
        return SETTLED_S + FIRST_S * self._chance.random()
