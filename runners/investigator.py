"""Looks at every host that was registered, until it is set up or a person must act.

The log is the memory: which hosts need a look is read from it at the start, and followed from
then on. A look only reads, so one that was cut short by a crash is simply done again.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from eventsourcing.persistence import PersistenceError

from domain import host as events
from domain import investigation
from domain.event import Act, Recorded
from domain.host import FactsGathered, FailureKind, Host
from domain.investigation import Subject
from domain.log.follower import Follower
from domain.log.writer import Writer
from domain.refusal import Refusal
from runners.wakeups import Wakeups

ACTOR = "runner:investigator"
UNSETTLED = ("investigating", "bootstrapping", "failed")
RECORD_RETRY_S = 1.0
"""Pause before a look is repeated because the log could not take what it found."""


class LookFailed(Exception):
    """A look that found why the host cannot be worked with; `reason` is for people."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: FailureKind = kind
        self.reason = reason


class OtherHostKey(Exception):
    """The host showed another key than the pinned one. Nothing was sent to it."""

    def __init__(self, fingerprint: str, reason: str) -> None:
        super().__init__(reason)
        self.fingerprint = fingerprint
        self.reason = reason


class Abandoned(Exception):
    """The host was removed or registered anew meanwhile: this look is about nobody."""


class Trust(Protocol):
    """Asked with the host key of the first contact, before anything is sent to the host."""

    async def __call__(self, algorithm: str, fingerprint: str) -> None:
        """Return where the key is trusted from now on; raise `Abandoned` otherwise."""
        ...


class Look(Protocol):
    """Connects to a host and asks it what it is."""

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts. Raises `LookFailed`, `OtherHostKey`, and what `trust` raises."""
        ...


class Hosts(Protocol):
    """What the log says of hosts."""

    async def unsettled(self) -> list[tuple[str, str]]:
        """Address and kind of failure of every host that needs a look."""
        ...

    async def load(self, address: str) -> Host:
        """One host as the log has it now."""
        ...


@dataclass(frozen=True)
class Pauses:
    """How long a failed host is left alone: doubling from the first to the longest, in seconds."""

    first_s: float
    longest_s: float

    def after(self, failures: int, chance: random.Random) -> float:
        """With jitter, so that hosts that failed together do not come back together."""
        pause = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return pause * chance.uniform(0.75, 1.25)


class Investigator:
    """The process manager. `parallel` looks at once; `now()` gives the time for events."""

    def __init__(
        self,
        writer: Writer,
        hosts: Hosts,
        look: Look,
        *,
        parallel: int,
        pauses: Pauses,
        now: Callable[[], str],
        chance: random.Random,
        on_defect: Callable[[str, Exception], None],
    ) -> None:
        self._writer = writer
        self._hosts = hosts
        self._look = look
        self._pauses = pauses
        self._now = now
        self._chance = chance
        self._on_defect = on_defect
        self._failures: dict[str, int] = {}
        self._wakeups = Wakeups(self._investigate, parallel)

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with self._wakeups.running():
            for address, failure in await self._unsettled():
                if failure == "":
                    self._wakeups.at_once(address)
                elif failure != "host_key":
                    self._wakeups.within(self._pauses.first_s * self._chance.random(), address)
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no look, and let those that run come to an end, `timeout_s` at most."""
        await self._wakeups.drain(timeout_s)

    async def _unsettled(self) -> list[tuple[str, str]]:
        while True:
            try:
                return await self._hosts.unsettled()
            except PersistenceError:
                await asyncio.sleep(RECORD_RETRY_S)

    def _notice(self, recorded: Recorded) -> None:
        address = recorded.event.originator_id.partition("/")[2]
        match recorded.event:
            case events.Registered() | events.KeyApproved() | events.KeyForgotten():
                self._failures.pop(address, None)
                self._wakeups.at_once(address)
            case events.Removed():
                self._failures.pop(address, None)
                self._wakeups.forget(address)
            case _:
                pass  # nothing that calls for a look

    async def _investigate(self, address: str) -> None:
        """One tick: load, look, record, and say when to look again."""
        try:
            host = await self._hosts.load(address)
            settled = host.status not in UNSETTLED or await self._look_and_record(host)
        except (Refusal, PersistenceError):  # the log is away: what was found is found again
            self._wakeups.within(RECORD_RETRY_S, address)
            return
        except Exception as defect:  # noqa: BLE001 - of one host, and not to be the end of all
            self._on_defect(address, defect)
            settled = False
        if settled:
            self._failures.pop(address, None)
        else:
            failures = self._failures[address] = self._failures.get(address, 0) + 1
            self._wakeups.within(self._pauses.after(failures, self._chance), address)

    async def _look_and_record(self, host: Host) -> bool:
        """Whether nothing is left to do, until somebody changes something."""
        subject = Subject(host.name, host.incarnation)

        async def trust(algorithm: str, fingerprint: str) -> None:
            if not await self._writer.perform(
                self._act(host),
                lambda unit: investigation.pin_key(unit, subject, algorithm, fingerprint),
            ):
                raise Abandoned

        try:
            facts = await self._look(host, trust)
        except Abandoned:
            return True
        except OtherHostKey as other:
            fingerprint, reason = other.fingerprint, other.reason
            await self._writer.perform(
                self._act(host),
                lambda unit: investigation.refuse_key(unit, subject, fingerprint, reason),
            )
            return True
        except LookFailed as failed:
            kind, reason = failed.kind, failed.reason
            await self._writer.perform(
                self._act(host), lambda unit: investigation.fail(unit, subject, kind, reason)
            )
            return False
        await self._writer.perform(
            self._act(host), lambda unit: investigation.settle(unit, subject, facts)
        )
        return True

    def _act(self, host: Host) -> Act:
        return Act(ACTOR, f"{host.id}@{host.incarnation}", self._now())
