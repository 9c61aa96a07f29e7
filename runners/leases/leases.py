"""Claims of one process among several: a lease that is renewed, and a fair share of all shards.

Each process is a member under a name that is never used again, and renews its lease each second.
Its shards are its own until the lease runs out, which it measures itself, from before it asked for
the renewal, and ends a margin earlier than the database does: so a process that was frozen, or cut
off from the database, has stopped before anybody else begins. What it sends to the log is checked
there (`fenced`), and what it sends to a host has to be begun there in time
(`runners/steps/ssh_contact.py`).
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from domain.log.engine import OperationalError, PersistenceError, TakesNoWrites, Unusable
from domain.log.unit import Unit
from domain.refusal import conflict
from runners.leases.lease_table import LeaseSnapshot, Table, Taken
from runners.leases.ownership import Gained, Lost, ShardSet, Subscriber, Tally, shard_of
from runners.leases.shard_balance import rebalance
from runners.os_support.clock import since_boot
from runners.os_support.process_identity import is_dead, process_identity

LOOK_EVERY_S = 1.0
MARGIN_SHARE = 0.1
"""Of a lease, so much is left unused: clocks of two machines do not go alike."""
LEAVE_TIMEOUT_S = 3.0

T = TypeVar("T")


def new_name() -> str:
    """A name that no member ever had; people see the machine's in it."""
    return f"{socket.gethostname()}/{secrets.token_hex(8)}"


class Leases:
    """The shards of this process: renewed, balanced with other processes, and given up in time.

    `lease_s`: how long the database keeps a lease that is not renewed. `is_other_log()`: whether
    the database is not the one that was known; nobody holds anything by what it says then.
    """

    def __init__(
        self,
        table: Table,
        lease_s: float,
        *,
        log: Callable[..., None],
        clock: Callable[[], float] = since_boot,
        identity: Callable[[], str] = process_identity,
        dead: Callable[[str], bool] = is_dead,
        new_name: Callable[[], str] = new_name,
        is_other_log: Callable[[], bool] = lambda: False,
    ) -> None:
        self._table = table
        self._usable_s = lease_s * (1 - MARGIN_SHARE)
        self._log = log
        self._clock = clock
        self._identity = identity
        self._dead = dead
        self._new_name = new_name
        self._is_other_log = is_other_log
        self._me = ""
        self._former: set[str] = set()  # names of ours that are still to leave
        self._until = -1.0
        self._held: dict[int, int] = {}  # epochs by shard
        self._subscribers: list[Subscriber] = []
        self._expiry: asyncio.TimerHandle | None = None
        self.tally = Tally()
        self.resigned = False
        self.refused: PersistenceError | None = None
        """Why the database refuses what leases need, where it does though it answers."""

    # What process managers ask

    def holds(self, key: str) -> bool:
        """Whether it is ours now."""
        return shard_of(key) in self._held and self.is_member

    def left_s(self, key: str) -> float:
        """For how long it is ours for certain."""
        return max(0.0, self._until - self._clock()) if shard_of(key) in self._held else 0.0

    def fenced(self, key: str, command: Callable[[Unit], T]) -> Callable[[Unit], T]:
        """The command, refused where the claim does not hold when it is decided."""
        shard, me = shard_of(key), self._me
        epoch = self._held.get(shard)

        def fence(unit: Unit) -> T:
            if epoch is None or not self._table.holds(unit.tx, shard, me, epoch):
                raise conflict(f"Another process works on {key} now.")
            return command(unit)

        return fence

    @asynccontextmanager
    async def subscribe(self, on_gained: Gained, on_lost: Lost) -> AsyncIterator[None]:
        """Tell a process manager what it gains and loses."""
        subscriber = Subscriber(on_gained, on_lost)
        self._subscribers.append(subscriber)
        if self._held and self.is_member:
            subscriber.gains.put_nowait(ShardSet(frozenset(self._held)))
        try:
            async with subscriber.told():
                yield
        finally:
            self._subscribers.remove(subscriber)

    def begin_anew(self, why: str = "the log went back") -> None:
        """The leases went back with the log: be another member."""
        if self._me:
            self._former.add(self._me)
            self._end(why)

    # For whoever watches

    @property
    def is_member(self) -> bool:
        """Whether the lease has not run out."""
        return self._clock() < self._until

    @property
    def held(self) -> int:
        """How many shards are ours."""
        return len(self._held) if self.is_member else 0

    # The process's own life

    async def start(self) -> None:
        """Become a member, and claim what is free, where the database answers."""
        await self._tick()

    async def run(self) -> None:
        """Until cancelled, or as long as it is a member; then everything is released."""
        try:
            while not self.resigned:
                await asyncio.sleep(LOOK_EVERY_S)
                await self._tick()
        finally:
            await self._leave()
        await asyncio.Event().wait()

    def resign(self) -> None:
        """Leave everything to others, for as long as this process runs."""
        self.resigned = True

    async def _tick(self) -> None:
        if self._is_other_log():
            self.begin_anew("the database is not the one that was known")
            return
        try:
            while self._former:  # else it would hold our shards until its time is up
                await self._table.leave(next(iter(self._former)))
                self._former.pop()
            if not self._me:
                await self._join()
            await self._look()
            self.refused = None
        except PersistenceError as error:
            # Where it is only away, or busy, the lease runs out if it stays so.
            is_passing = isinstance(error, OperationalError)
            is_refused = isinstance(error, TakesNoWrites | Unusable)
            self.refused = error if is_refused or not is_passing else None

    async def _join(self) -> None:
        me, asked_at = self._new_name(), self._clock()
        await self._table.join(me, self._identity())
        self._me = me
        self._renewed(asked_at)

    async def _look(self) -> None:
        me, asked_at = self._me, self._clock()
        snapshot = await self._table.look(me)
        if me != self._me:
            return  # it ran out while we asked
        if not snapshot.renewed:
            self._end("the database says so")
            return
        self._renewed(asked_at)
        claimed = {c.shard: c.epoch for c in snapshot.claims if c.member == me}
        self._lose({shard for shard, epoch in self._held.items() if claimed.get(shard) != epoch})
        # What was claimed with an answer that got lost:
        self._gain({shard: epoch for shard, epoch in claimed.items() if shard not in self._held})
        await self._balance(me, snapshot)

    async def _balance(self, me: str, snapshot: LeaseSnapshot) -> None:
        """Take what is ours to take, and give up what is too much."""
        others = [member for member in snapshot.members if member.name != me]
        dead = {member.name for member in others if self._dead(member.witness)}
        alive = {m.name for m in others if m.alive and m.name not in dead} | {me}
        wanted = rebalance(me, alive, {claim.shard: claim.member for claim in snapshot.claims})
        if wanted.release:
            self._lose(set(wanted.release))
            await self._table.release(me, wanted.release)
        if wanted.claim or dead:
            taken = await self._table.claim(me, wanted.claim, dead)
            if me == self._me:
                self._take(taken)

    def _take(self, taken: Collection[Taken]) -> None:
        self._gain({each.shard: each.epoch for each in taken})
        taken_over = sum(1 for each in taken if each.before)
        self.tally.taken_over += taken_over
        if taken:
            self._log("leases.gained", shards=len(taken), taken_over=taken_over, held=self.held)

    def _renewed(self, asked_at: float) -> None:
        if self._held and not self.is_member:
            # Somebody was told that they are not ours any more, and has to begin anew.
            self._lose(set(self._held))
        self._until = asked_at + self._usable_s
        if self._expiry is None:
            self._watch_the_clock()

    def _watch_the_clock(self) -> None:
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(max(0.0, self._until - self._clock()), self._expire)

    def _expire(self) -> None:
        self._expiry = None
        if self.is_member:
            self._watch_the_clock()
        elif self._me:
            self._end("it could not be renewed in time")

    def _end(self, why: str) -> None:
        """Hold nothing, and be another member from the next look on."""
        self.tally.lost += len(self._held)
        self._log("leases.lost", "warning", shards=len(self._held), reason=f"The lease: {why}.")
        self._lose(set(self._held))
        self._me, self._until = "", -1.0

    def _gain(self, epochs: dict[int, int]) -> None:
        if epochs:
            self._held |= epochs
            for subscriber in self._subscribers:
                subscriber.gains.put_nowait(ShardSet(frozenset(epochs)))

    def _lose(self, shards: Iterable[int]) -> None:
        gone = [shard for shard in shards if self._held.pop(shard, None) is not None]
        if gone:
            for subscriber in self._subscribers:
                subscriber.on_lost(ShardSet(frozenset(gone)))

    async def _leave(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        me, self._me = self._me, ""
        self._lose(set(self._held))
        self._until = -1.0
        if me:
            try:
                async with asyncio.timeout(LEAVE_TIMEOUT_S):
                    await self._table.leave(me)
            except (PersistenceError, TimeoutError):
                pass  # it runs out by itself
