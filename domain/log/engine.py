"""What the log asks of a database engine, and what can go wrong with one.

What the package `eventsourcing` raises, and what it calls a stored event, is named here, once for
all floors: nothing above `domain` imports the package.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from eventsourcing.persistence import (
    IntegrityError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
    StoredEvent,
)

from domain.log.transaction import EngineName, Server, Transaction

__all__ = [
    "EMPTY",
    "NOWHERE",
    "Appending",
    "CommitUnknown",
    "Contended",
    "Engine",
    "Head",
    "IntegrityError",
    "LogWentBack",
    "OperationalError",
    "OtherLog",
    "PersistenceError",
    "Place",
    "ProgrammingError",
    "Server",
    "Stopped",
    "StorageFull",
    "StoredEvent",
    "TakesNoWrites",
    "Unusable",
]


class StorageFull(OperationalError):
    """There is no room for what was to be written. Nothing was."""


class Contended(OperationalError):
    """Somebody else held the append lock for too long. Nothing was written."""


class CommitUnknown(OperationalError):
    """The connection broke while committing: it may or may not have happened."""


class Stopped(OperationalError):
    """A read model cannot go on with the log; trying again does not help, a person must."""


class Unusable(OperationalError):
    """The database answers, but refuses: a right was revoked, or a table is not where it was."""


class TakesNoWrites(OperationalError):
    """The server answers, but takes no writes: a standby, or one that was set so."""


class LogWentBack(OperationalError):
    """The log is not what this process knew: whoever remembers any of it must forget it."""


class OtherLog(Stopped):
    """This server's log is no continuation of the one that was known; a person must say which is
    right."""


class Head(NamedTuple):
    """The newest entry of the log; position 0 where it is empty."""

    position: int
    recorded_at: str


EMPTY = Head(0, "")
"""The head of a log without entries."""


class Place(NamedTuple):
    """An entry of the log, by what no other log has: positions are given out again in one that went
    back, and times are the same while a clock stands behind."""

    position: int
    recorded_at: str
    append_id: int
    """Random, the same for all that was appended together; 0 where an older version did it."""


NOWHERE = Place(0, "", 0)
"""Before the first entry."""


class Appending(Protocol):
    """A transaction that holds the append lock: nobody else appends until it ends."""

    @property
    def tx(self) -> Transaction:
        """To read and write with, in this transaction."""
        ...

    @property
    def head(self) -> Place:
        """The newest entry when the lock was taken."""
        ...

    def commit(self) -> None:
        """Make it durable. Without it, leaving the context rolls back."""
        ...

    def confirm(self) -> None:
        """Make sure that what was committed before is as durable as what we commit."""
        ...


class Engine(Protocol):
    """One database: where the log, the read models and the vault live."""

    @property
    def name(self) -> EngineName:
        """Which engine this is."""
        ...

    def append(self, lock_timeout_s: float) -> AbstractContextManager[Appending]:
        """Take the append lock, or raise `Contended`."""
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """Read one consistent state, from any thread."""
        ...

    def must_answer(self) -> None:
        """Raise where the database was found to be away: nobody needs to wait for it."""
        ...

    def suspect(self) -> None:
        """Somebody waits for it: find out beside them whether it is away."""
        ...

    def scrub(self) -> None:
        """Make what was deleted before unreadable in the files of the database."""
        ...

    def execute_schema(self, statements: Sequence[str]) -> None:
        """Run statements that create what does not exist yet, in one transaction."""
        ...

    def close(self) -> None:
        """Give back all connections."""
        ...
