"""Leases kept in memory, by a clock that is played, on a way where anything may happen."""

from collections.abc import Awaitable, Callable, Collection

from domain.log.transaction import Transaction
from runners.leases.lease_table import Claim, LeaseSnapshot, Member, Taken
from runners.leases.ownership import SHARDS


class PlayedTable:
    """As `LeaseTable`. `clock()`: the database's; `lease_s`: of every member."""

    def __init__(self, clock: Callable[[], float], lease_s: float, shards: int = SHARDS) -> None:
        self.clock = clock
        self.lease_s = lease_s
        self.until: dict[str, float] = {}
        self.last_until: dict[str, float] = {}
        """Of those too that have left, or were seen to be dead."""
        self.witness: dict[str, str] = {}
        self.holder = dict.fromkeys(range(shards), "")
        self.epoch = dict.fromkeys(range(shards), 0)

    def seen_from(self, way: Callable[[], Awaitable[None]]) -> "SeenTable":
        """As one process sees it, whose questions and answers go this way."""
        return SeenTable(self, way)

    def renew(self, name: str) -> None:
        """From now on."""
        self.until[name] = self.last_until[name] = self.clock() + self.lease_s

    def end_leases(self, dead: Collection[str]) -> None:
        """Delete members whose time is up."""
        for name in [n for n, until in self.until.items() if until <= self.clock() or n in dead]:
            del self.until[name]


class SeenTable:
    """The table over a way that may take long, or end in `OperationalError` on either leg."""

    def __init__(self, table: PlayedTable, way: Callable[[], Awaitable[None]]) -> None:
        self._table = table
        self._way = way

    async def join(self, me: str, witness: str) -> None:
        """Become a member."""
        await self._way()
        assert me not in self._table.witness, "a name is never used again"
        self._table.witness[me] = witness
        self._table.renew(me)
        await self._way()

    async def look(self, me: str) -> LeaseSnapshot:
        """Renew, and look."""
        await self._way()
        table = self._table
        renewed = table.until.get(me, 0.0) > table.clock()
        if renewed:
            table.renew(me)
        snapshot = LeaseSnapshot(
            renewed,
            [
                Member(n, table.witness[n], until > table.clock())
                for n, until in table.until.items()
            ],
            [Claim(shard, holder, table.epoch[shard]) for shard, holder in table.holder.items()],
        )
        await self._way()
        return snapshot

    async def claim(self, me: str, shards: Collection[int], dead: Collection[str]) -> list[Taken]:
        """Claim."""
        await self._way()
        table = self._table
        table.end_leases(dead)
        taken = []
        for shard in shards if me in table.until else ():
            before = table.holder[shard]
            if before not in table.until:
                table.holder[shard], table.epoch[shard] = me, table.epoch[shard] + 1
                taken.append(Taken(shard, table.epoch[shard], before))
        await self._way()
        return taken

    async def release(self, me: str, shards: Collection[int]) -> None:
        """Release."""
        await self._way()
        for shard in shards:
            if self._table.holder[shard] == me:
                self._table.holder[shard] = ""
        await self._way()

    async def leave(self, me: str) -> None:
        """Be no member any more."""
        await self.release(me, range(len(self._table.holder)))
        self._table.until.pop(me, None)

    def holds(self, tx: Transaction, shard: int, me: str, epoch: int) -> bool:
        """Whether the claim holds."""
        table = self._table
        return (table.holder[shard], table.epoch[shard]) == (me, epoch) and table.until.get(
            me, 0.0
        ) > table.clock()
