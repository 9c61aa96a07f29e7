"""An investigator on a real SQLite log. Its looks are played: each ends when the test says so."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from domain.commands import fleet_commands
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.event import Act, Recorded
from domain.log.follower import Follower
from domain.log.recorder import head
from domain.log.unit import Unit, load
from domain.log.writer import Writer
from projections.beside_the_log import heartbeats, host_looks
from projections.reads import reads
from runners.hosts import watcher
from runners.hosts.failed_looks import FailedLooks
from runners.hosts.heartbeats import Heartbeats
from runners.hosts.investigator import ACTOR, Investigator
from runners.hosts.outcomes import HostOutcomes, HostUnusable, Trust
from runners.hosts.watcher import Watcher
from runners.scheduling.backoff import Pauses
from runners.security.vault import Vault
from runners.service.fleet_reader import FleetReader
from tests.support.stores import Store

NOW = "2026-01-02T03:04:05.000006"
LATER = "2026-01-02T03:05:05.000006"
"""What the watcher's clock shows."""
ALICE = Act("alice", "request-1", NOW)
FACTS = FactsGathered("fedora", "40", 4, 8_000_000, 40_000_000, "boot-1")
REFUSED = HostUnusable("unreachable", "refused", passing=True)
NO_SUDO = HostUnusable("sudo", "sudo asks for a password")

PARALLEL = 4
ATTEMPTS_MAX = 3
MISSES_MAX = 3
LIMIT_S = 60.0
POLL_S = 0.002
# Real, but so short that a test can wait for them.
RETRIES = Pauses(0.02, 0.2)
ATTEMPTS = Pauses(0.01, 0.02)

Outcome = FactsGathered | Exception


class Look:
    """Looks that are under way, by address, until `end` is called."""

    def __init__(self) -> None:
        self.begun: list[Host] = []
        self.under_way: dict[str, asyncio.Future[Outcome]] = {}
        self.trust: dict[str, Trust] = {}
        self.most = 0

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """Wait for the cue."""
        assert host.name not in self.under_way, "two looks at one host"
        cue: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.begun.append(host)
        self.under_way[host.name] = cue
        self.trust[host.name] = trust
        self.most = max(self.most, len(self.under_way))
        try:
            outcome = await cue
        finally:
            del self.under_way[host.name]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Population:
    """As the log has it, and some hosts are occupied."""

    def __init__(self, known: FleetReader, busy: set[str]) -> None:
        self._known = known
        self._busy = busy

    async def settled(self) -> list[str]:
        """All that are set up."""
        return await self._known.settled()

    async def load(self, address: str) -> Host:
        """One host."""
        return await self._known.load(address)

    async def occupied(self, address: str) -> bool:
        """As the test says."""
        return address in self._busy


class Stage:
    """The investigator, its look, and what an operator can do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.look = Look()
        self.defects: list[Exception] = []
        self.vault = Vault(secrets.token_bytes(32))
        self.occupied: set[str] = set()
        """Addresses that an operation works on."""
        self.pushes = True
        """Whether what is committed is pushed to the follower, or has to be found."""
        self.hears = asyncio.Event()
        """While this is not set, the follower learns nothing of what is committed."""
        self.hears.set()
        self._writer: Writer | None = None
        self._investigator: Investigator | None = None

    @asynccontextmanager
    async def opened(
        self,
        parallel: int = PARALLEL,
        pauses_s: float | None = None,
        check_interval_s: float | None = None,
    ) -> AsyncIterator["Stage"]:
        """Start at what the log says now; stop as a crash does, without a chance to record.

        With `check_interval_s`, a watcher runs beside the investigator, and they share the look.
        """
        engine = self.store.engine
        self.vault.open(engine)
        answers = reads(engine)
        known = FleetReader(answers, self.vault)

        async def pull(position: int) -> Sequence[Recorded]:
            await self.hears.wait()
            return await known.entries_after(position)

        with engine.snapshot() as tx:
            position = head(tx).position
        followers = [Follower(position, pull), Follower(position, pull)]
        loop = asyncio.get_running_loop()

        def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
            if self.pushes and self.hears.is_set():
                for follower in followers:
                    loop.call_soon_threadsafe(follower.push, previous, recorded)

        with self.store.writer(engine, on_commit=on_commit) as writer:
            self._writer = writer
            self._investigator = Investigator(
                HostOutcomes(writer, ACTOR, lambda: NOW),
                known,
                self.look,
                parallel=parallel,
                attempts_max=ATTEMPTS_MAX,
                pauses=Pauses(pauses_s, pauses_s) if pauses_s else RETRIES,
                attempt_pauses=ATTEMPTS,
                slow_per_slot=0,  # on a busy machine any look may be slow
                chance=random.Random(1),
                on_defect=lambda _, defect: self.defects.append(defect),
                looks=FailedLooks(writer, host_looks.keep, ACTOR, lambda: NOW, POLL_S),
            )
            self.runner = asyncio.create_task(self._investigator.run(followers[0]))
            runners = [self.runner]
            if check_interval_s is not None:
                self.watcher = self._watcher(writer, known, check_interval_s)
                runners.append(asyncio.create_task(self.watcher.run(followers[1])))
            try:
                yield self
            finally:
                for runner in runners:
                    runner.cancel()
                await asyncio.wait(runners)
                answers.close()

    def _watcher(self, writer: Writer, known: FleetReader, interval_s: float) -> Watcher:
        beat = partial(heartbeats.beat, now=lambda: LATER)
        self.heartbeats = Heartbeats(writer, beat, watcher.ACTOR, lambda: LATER)
        return Watcher(
            HostOutcomes(writer, watcher.ACTOR, lambda: LATER),
            Population(known, self.occupied),
            self.look,
            self.heartbeats,
            interval_s=interval_s,
            parallel=PARALLEL,
            misses_max=MISSES_MAX,
            now=lambda: LATER,
            chance=random.Random(2),
            on_defect=lambda _, defect: self.defects.append(defect),
        )

    @property
    def investigator(self) -> Investigator:
        """The one that runs."""
        assert self._investigator is not None
        return self._investigator

    async def do(self, command: Callable[[Unit], Any]) -> Any:
        """Carry out a command as an operator."""
        assert self._writer is not None
        return await self._writer.perform(ALICE, command)

    async def register(self, address: str, key: bytes = b"key", port: int = 22) -> None:
        """As PUT does."""
        offered = OfferedKey(key, lambda raw: f"SHA256:{raw.decode()}")
        asked = HostRequest(offered, ssh_port=port)
        await self.do(lambda unit: fleet_commands.register_host(unit, self.vault, address, asked))

    async def remove(self, address: str) -> None:
        """As DELETE does."""
        await self.do(lambda unit: fleet_commands.remove_host(unit, self.vault, address))

    async def end(self, address: str, outcome: Outcome) -> None:
        """Let the look at a host begin, and end like this."""
        await until(lambda: address in self.look.under_way)
        cue = self.look.under_way[address]
        cue.set_result(outcome)
        await until(lambda: self.look.under_way.get(address) is not cue)

    def host(self, address: str) -> Host:
        """A host as the log has it now."""
        with self.store.engine.snapshot() as tx:
            return load(tx, Host, address)

    def looked_at(self, address: str) -> tuple[str, str] | None:
        """Which request the last look at a failed host has answered, and when the next is."""
        sql = "SELECT request, next_check FROM host_looks WHERE address = ?"
        with self.store.engine.snapshot() as tx:
            found = tx.execute(sql, (address,)).fetchone()
        return tuple(found) if found else None

    async def until_status(self, address: str, status: str) -> Host:
        """Wait until the log has it so."""
        await until(lambda: self.host(address).status == status)
        return self.host(address)


async def until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait for a condition, with a limit."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - of what has no event to wait for
            await asyncio.sleep(POLL_S)
