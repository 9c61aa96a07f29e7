"""Tells container managers which hosts are their nodes.

Each change of a node is in the log as pending before anything is sent, until the container manager
has confirmed it. One that is down is asked again with growing pauses, and after a crash too. Every
request may be sent twice, by two processes or after a lost answer.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, ParamSpec, Protocol

from domain.aggregates import container_manager_events as events
from domain.commands import node_outcomes
from domain.commands.fleet_commands import Secrets
from domain.event import Act, Recorded
from domain.log.unit import Unit
from projections.container_managers import NodeChangeRow
from runners.container_managers.connections import NoSuchManager
from runners.container_managers.failure import ManagerFailed
from runners.leases.ownership import SINGLE_PROCESS, HostsOf, Ownership, ShardSet, permitted
from runners.scheduling.backoff import Pauses
from runners.scheduling.process_manager import (
    UNRECORDED,
    Due,
    ProcessManager,
    retry_until_available,
)
from runners.scheduling.protocols import ServiceLogWrite, Writes
from runners.scheduling.work_queue import Priority, Requeue

ACTOR = "runner:registrar"
PARALLEL = 16
"""Hosts that are worked on at once, over all container managers."""
PAUSES = Pauses(1.0, 60.0)
"""Before a container manager that failed is asked again."""
FAREWELL_S = 3600.0
"""For how long a removed container manager is still told that its nodes have left."""
STRAY_S = 30.0
"""When a registration that was cut short is checked for a node that the log does not know."""

P = ParamSpec("P")
STRAY = "stray/"
"""Prefix of the keys of such checks; no container manager's name has a slash."""


class Nodes(Protocol):
    """The nodes of one container manager; see `runners.container_managers.kubernetes`. Raises
    `ManagerFailed`."""

    async def register(self, address: str, cluster: str, mark: str) -> bool: ...

    async def remove(self, address: str, mark: str) -> bool: ...

    async def take_back(self, address: str, mark: str) -> None: ...

    async def restore(self, address: str, operation: str) -> None: ...


class PendingNodeChanges(Protocol):
    """What container managers are still to be told; see `runners.service.fleet_reader`."""

    async def pending_node_changes(self) -> list[tuple[str, str]]: ...

    async def pending_node_change(self, name: str, address: str) -> NodeChangeRow | None: ...

    async def without_node_change(self) -> list[str]: ...

    async def leaving(self) -> list[str]: ...


@dataclass(frozen=True)
class Silence:
    """A container manager that failed as a whole: why, how often, and until when nobody asks it."""

    reason: str
    failures: int
    until_s: float


class NodeRegistrar(ProcessManager):
    """Tells each container manager of its nodes.

    `managers(name)` gives the nodes of one; `now()` the time for events.
    """

    def __init__(
        self,
        writer: Writes,
        secrets: Secrets,
        pending: PendingNodeChanges,
        managers: Callable[[str], Awaitable[Nodes]],
        *,
        now: Callable[[], str],
        chance: random.Random,
        log: ServiceLogWrite,
        on_defect: Callable[[str, Exception], None],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        super().__init__(PARALLEL, ownership=ownership)
        self._writer = writer
        self._secrets = secrets
        self._pending = pending
        self._managers = managers
        self._now = now
        self._chance = chance
        self._log = log
        self._on_defect = on_defect
        self._silent: dict[str, Silence] = {}
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        """By container manager: keys that wait for the end of its silence."""
        self._failures: dict[str, tuple[int, str]] = {}
        """By key: how many failures in a row, and the reason of the last."""
        self._sent: dict[str, NodeChangeRow] = {}
        """By key: registrations that were sent and are not in the log yet."""
        self._strays: dict[str, NodeChangeRow] = {}
        """By key: registrations that were sent and are another process's by now."""

    @property
    def waiting(self) -> int:
        """How many hosts a container manager is still to be told of."""
        return len(self._queue)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Container managers that were removed before are given up after `FAREWELL_S`."""
        async with super().running():
            for name in await retry_until_available(self._pending.leaving):
                self._queue.enqueue_after(FAREWELL_S, name)
            yield

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """Hosts that a container manager is still to be told of."""
        for address in await self._pending.without_node_change():
            if self.owns(address, shards):
                await self._want(address)
        return [
            Due(f"{name} {address}")
            for name, address in await self._pending.pending_node_changes()
            if self.owns(address, shards)
        ]

    def keys_of(self, shards: ShardSet) -> Container[str]:
        """Keys are `CONTAINER_MANAGER ADDRESS`; others are every process's own."""
        return HostsOf(shards)

    def drop(self, keys: Container[str]) -> None:
        """Forget failures as well; a registration under way may have left a stray node."""
        super().drop(keys)
        self._failures = {key: f for key, f in self._failures.items() if key not in keys}
        for name, held in self._held.items():
            self._held[name] = {key for key in held if key not in keys}
        for key in [key for key in self._sent if key in keys]:
            change = self._sent.pop(key)
            stray = f"{STRAY}{change.id}/{change.mark}".replace(" ", "/")
            self._strays[stray] = change
            self._queue.enqueue_after(STRAY_S, stray)

    def notice(self, recorded: Recorded) -> None:
        """Hosts that a container manager is to be told of, and container managers that go."""
        event = recorded.event
        name = event.originator_id.partition("/")[2]
        match event:
            case events.NodeWanted() | events.NodeUnwanted() | events.UncordonWanted():
                if self._ownership.holds(event.address):
                    self._queue.enqueue(f"{name} {event.address}")
            case events.RemovalStarted():
                self._queue.enqueue_after(FAREWELL_S, name)
            case events.Created() | events.Removed():
                # The failures of another of this name say nothing about this one.
                self._silent.pop(name, None)
                self._held.pop(name, None)
                self._queue.forget(name)
            case _:
                pass  # nothing to be told

    async def _want(self, address: str) -> None:
        """Record the pending change that the version before did not record."""
        try:
            await self._record(address, node_outcomes.want_node, address)
        except UNRECORDED:
            self._log("container_manager.not_wished", "warning", host=address)

    async def tick(self, key: str) -> Requeue | None:
        """Tell a container manager of one host, take back a stray node, or give a manager up."""
        name, _, address = key.partition(" ")
        try:
            if key.startswith(STRAY):
                return await self._take_back(key)
            if not address:
                await self._give_up(name)
                return None
            change = await self._pending.pending_node_change(name, address)
            if change is None:
                self._failures.pop(key, None)
                self._sent.pop(key, None)
                return None
            if self._silent_for_s(name) > 0:
                return self._hold(key)
            if not self._ownership.holds(address):
                return None
            await self._tell(change)
        except NoSuchManager:
            return None
        except ManagerFailed as failed:
            return self._after_failure(key, failed)
        except UNRECORDED:
            raise
        except Exception as defect:  # noqa: BLE001 - of one host, and not to be the end of all
            self._on_defect(address, defect)
            return self._after_failure(key, ManagerFailed("nonsense", type(defect).__name__))
        self._failures.pop(key, None)
        self._end_silence(name)
        return None

    async def _give_up(self, name: str) -> None:
        """A container manager that was removed is not told any more that its nodes have left."""
        act = Act(ACTOR, f"container_manager/{name}", self._now())
        give_up = partial(node_outcomes.give_up, secrets=self._secrets, name=name)
        await self._writer.perform(act, give_up)

    async def _tell(self, change: NodeChangeRow) -> None:
        name, address, secrets = change.container_manager, change.address, self._secrets
        manager = await self._managers(name)
        permitted(self._ownership, address)  # it may have taken long to get here
        if change.uncordon:
            for operation in change.uncordon.split():
                await manager.restore(address, operation)
            uncordoned = node_outcomes.uncordoned
            await self._record(address, uncordoned, secrets, name, address, change.uncordon)
        if change.wish == "register":
            self._sent[change.id] = change
            ours = await manager.register(address, change.cluster, change.mark)
            await self._record(address, node_outcomes.registered, name, address, found=not ours)
            self._sent.pop(change.id, None)
        elif change.wish == "remove":
            ours = await manager.remove(address, change.mark)
            removed = node_outcomes.removed
            await self._record(address, removed, secrets, name, address, left=not ours)

    async def _take_back(self, key: str) -> Requeue | None:
        """Remove a node that was registered after another process had removed it.

        Its mark shows that: a mark that the log has forgotten is never used again.
        """
        change = self._strays[key]
        name, address, mark = change.container_manager, change.address, change.mark
        try:
            act = Act(ACTOR, f"host/{address}", self._now())
            known = await self._writer.perform(
                act, lambda unit: node_outcomes.is_marked(unit, name, address, mark)
            )
            if not known:
                await (await self._managers(name)).take_back(address, mark)
        except ManagerFailed as failed:
            return Requeue(max(PAUSES.longest_s, failed.after_s or 0.0), Priority.RETRY)
        except NoSuchManager:
            pass  # the container manager is gone, and the node with it
        del self._strays[key]
        return None

    def _silent_for_s(self, name: str) -> float:
        silence = self._silent.get(name)
        return 0.0 if silence is None else silence.until_s - asyncio.get_running_loop().time()

    def _after_failure(self, key: str, failed: ManagerFailed) -> Requeue:
        """A manager that is down is not asked for a while; other failures concern one host."""
        name, _, address = key.partition(" ")
        if failed.is_of_the_whole:
            if self._silent_for_s(name) > 0:  # another host found the same a moment ago
                return self._hold(key)
            before = self._silent.get(name, Silence("", 0, 0.0))
            failures, told = before.failures + 1, before.reason
        else:
            count, told = self._failures.get(key, (0, ""))
            failures = count + 1
        pause_s = max(PAUSES.after(failures, self._chance), failed.after_s or 0.0)
        if failed.is_of_the_whole:
            until_s = asyncio.get_running_loop().time() + pause_s
            self._silent[name] = Silence(failed.reason, failures, until_s)
            self._held[name].add(key)
        else:
            self._failures[key] = failures, failed.reason
        if failed.reason != told:
            fields = {"container_manager": name, "host": address, "reason": failed.reason}
            self._log("container_manager.failed", "warning", **fields)
        return Requeue(pause_s, Priority.RETRY)

    def _hold(self, key: str) -> Requeue:
        """Wait with other hosts for the end of the manager's silence."""
        name, _, _ = key.partition(" ")
        self._held[name].add(key)
        return Requeue(self._silent_for_s(name), Priority.RETRY)

    def _end_silence(self, name: str) -> None:
        if self._silent.pop(name, None) is not None:
            self._log("container_manager.answers_again", container_manager=name)
            for key in self._held.pop(name, ()):
                self._queue.enqueue(key)

    async def _record(
        self,
        address: str,
        command: Callable[Concatenate[Unit, P], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Nothing is recorded of a host that is another process's by now."""
        act = Act(ACTOR, f"host/{address}", self._now())
        fenced = self._ownership.fenced(address, lambda unit: command(unit, *args, **kwargs))
        await self._writer.perform(act, fenced)
