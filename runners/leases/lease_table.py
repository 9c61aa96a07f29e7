"""Leases in PostgreSQL: the members, until when each is one, and which of them claimed which shard.

A member's claims hold as long as its row is there. Once its time is up the row is deleted under the
append lock, in the transaction that gives its shards to another member. So an event of a shard is
appended either before that transaction by the old member, or after it by the new one. All times are
the database's.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from domain.log.transaction import Transaction
from runners.leases.ownership import SHARDS

if TYPE_CHECKING:
    from domain.log.engines.postgres import PostgresEngine

CLAIM_TIMEOUT_S = 2.0
"""How long a claim waits for the append lock; our own lease is not renewed meanwhile."""
SILENCE_TIMEOUT_S = 2.0
"""How long the database may take for a renewal."""

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS lease_members (
        name TEXT COLLATE "C" PRIMARY KEY,
        witness TEXT NOT NULL,
        until TIMESTAMPTZ NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS lease_claims (
        shard INTEGER PRIMARY KEY,
        member TEXT COLLATE "C" NOT NULL,
        epoch BIGINT NOT NULL
    )
    """,
    # Raised with each claim, never lowered.
    f"""
    INSERT INTO lease_claims (shard, member, epoch)
    SELECT shard, '', 0 FROM generate_series(0, {SHARDS - 1}) AS shard
    ON CONFLICT (shard) DO NOTHING
    """,  # noqa: S608 - a number of ours
)

# now() would be when the transaction began: before it waited for a lock.
JOIN = """
    INSERT INTO lease_members (name, witness, until)
    VALUES (?, ?, clock_timestamp() + make_interval(secs => ?))
"""
RENEW = """
    UPDATE lease_members SET until = clock_timestamp() + make_interval(secs => ?)
    WHERE name = ? AND until > clock_timestamp() RETURNING name
"""
MEMBERS = "SELECT name, witness, until > clock_timestamp() FROM lease_members"
CLAIMS = "SELECT shard, member, epoch FROM lease_claims"
# This waits for a renewal that is being committed, and then sees it.
END_LEASES = """
    DELETE FROM lease_members WHERE until <= clock_timestamp() OR name = ANY(?)
"""
CLAIM = """
    UPDATE lease_claims AS c SET member = ?, epoch = c.epoch + 1
    FROM lease_claims AS before
    WHERE before.shard = c.shard AND c.shard = ANY(?)
    AND NOT EXISTS (SELECT 1 FROM lease_members m WHERE m.name = c.member)
    AND EXISTS (SELECT 1 FROM lease_members m WHERE m.name = ?)
    RETURNING c.shard, c.epoch, before.member
"""
RELEASE = "UPDATE lease_claims SET member = '' WHERE shard = ANY(?) AND member = ?"
RELEASE_ALL = "UPDATE lease_claims SET member = '' WHERE member = ?"
LEAVE = "DELETE FROM lease_members WHERE name = ?"
TABLES = ("lease_members", "lease_claims")
FENCE = """
    SELECT 1 FROM lease_claims c JOIN lease_members m ON m.name = c.member
    WHERE c.shard = ? AND c.member = ? AND c.epoch = ? AND m.until > clock_timestamp()
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """A process that works on hosts, until it leaves or its lease runs out."""

    name: str
    witness: str
    alive: bool
    """Whether its lease has not run out yet."""


@dataclass(frozen=True)
class Claim:
    """A shard, who claimed it last ("" once it was released), and which claim it was."""

    shard: int
    member: str
    epoch: int


@dataclass(frozen=True)
class LeaseSnapshot:
    """Everything, as of one moment."""

    renewed: bool
    """Whether whoever asked is still a member; its lease runs anew from then on."""
    members: Sequence[Member]
    claims: Sequence[Claim]


@dataclass(frozen=True)
class Taken:
    """A shard that was claimed."""

    shard: int
    epoch: int
    before: str
    """Who had it; "" where it had been released."""


class Table(Protocol):
    """Where leases are kept. Everything may raise `PersistenceError`."""

    async def join(self, me: str, witness: str) -> None:
        """Become a member, with a name that nobody ever had."""
        ...

    async def look(self, me: str) -> LeaseSnapshot:
        """Renew the lease, and see how everything stands."""
        ...

    async def claim(self, me: str, shards: Collection[int], dead: Collection[str]) -> list[Taken]:
        """Claim those of the shards that are free. `dead`: members that certainly are."""
        ...

    async def release(self, me: str, shards: Collection[int]) -> None:
        """Let others have them."""
        ...

    async def leave(self, me: str) -> None:
        """Be no member any more, and hold nothing."""
        ...

    def holds(self, tx: Transaction, shard: int, me: str, epoch: int) -> bool:
        """Whether the claim holds in this transaction, which has the append lock."""
        ...


class LeaseTable:
    """In PostgreSQL, asked in a thread of its own: no reader or writer holds a renewal up."""

    def __init__(self, engine: "PostgresEngine", lease_s: float) -> None:
        self._engine = engine
        self._lease_s = lease_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leases")

    def create(self) -> None:
        """Create the tables where they are not there."""
        self._engine.execute_schema(SCHEMA)

    def close(self) -> None:
        """Wait for what is being asked."""
        self._thread.shutdown(cancel_futures=True)

    async def join(self, me: str, witness: str) -> None:
        """Become a member."""
        await self._beside(lambda tx: tx.execute(JOIN, (me, witness, self._lease_s)))

    async def look(self, me: str) -> LeaseSnapshot:
        """Renew, and look."""
        return await self._beside(lambda tx: self._look(tx, me))

    async def claim(self, me: str, shards: Collection[int], dead: Collection[str]) -> list[Taken]:
        """Claim, under the append lock."""

        def claimed() -> list[Taken]:
            with self._engine.append(CLAIM_TIMEOUT_S) as appending:
                appending.tx.execute(END_LEASES, (list(dead),))
                rows = appending.tx.execute(CLAIM, (me, list(shards), me)).fetchall()
                appending.commit()
            return [Taken(*row) for row in rows]

        return await self._in_thread(claimed)

    async def release(self, me: str, shards: Collection[int]) -> None:
        """Let others have them."""
        await self._beside(lambda tx: tx.execute(RELEASE, (list(shards), me)))

    async def leave(self, me: str) -> None:
        """Be no member any more."""

        def left(tx: Transaction) -> None:
            tx.execute(RELEASE_ALL, (me,))
            tx.execute(LEAVE, (me,))

        await self._beside(left)

    def holds(self, tx: Transaction, shard: int, me: str, epoch: int) -> bool:
        """Whether the claim holds."""
        return tx.execute(FENCE, (shard, me, epoch)).fetchone() is not None

    def _look(self, tx: Transaction, me: str) -> LeaseSnapshot:
        renewed = tx.execute(RENEW, (self._lease_s, me)).fetchone() is not None
        members = [Member(*row) for row in tx.execute(MEMBERS).fetchall()]
        return LeaseSnapshot(
            renewed, members, [Claim(*row) for row in tx.execute(CLAIMS).fetchall()]
        )

    async def _beside(self, work: Callable[[Transaction], T]) -> T:
        """Do it in a transaction that does not hold up the log, and commit."""

        def done() -> T:
            with self._engine.beside(SILENCE_TIMEOUT_S) as writing:
                result = work(writing.tx)
                writing.commit()
            return result

        return await self._in_thread(done)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
