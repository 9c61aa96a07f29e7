"""Connections that stay open between the checks of a host, so that not each check has to log in.

There is one to a host at most, and none is older than an hour: then a check logs in again. A kept
connection may have been dead for long, so it is only used for what may be repeated over a new one.
Whoever learns of something that speaks against a host's connection has it closed (`forget`).
"""

import asyncio
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from runners.ssh.command import ScriptRunner

KEPT_S = 3600.0
"""After its log-in: nobody knows for longer whether the host still lets us in."""


class Session(ScriptRunner, Protocol):
    """A session whose connection may be kept; see `runners.ssh.client.Session`."""

    @property
    def is_at_rest(self) -> bool:
        """Whether the connection is open, and nothing of a command is left on it."""
        ...

    def hang_up(self) -> None:
        """Close the connection."""
        ...

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call this as soon as the connection has ended."""
        ...


@dataclass(eq=False)
class Visit:
    """A check of a host: its connection is kept, unless the host was forgotten meanwhile."""

    address: str
    login: object
    """What the connection was logged in with; another one is not used for something else."""


@dataclass(eq=False)
class _Kept:
    session: Session
    login: object
    until: float
    """By the time of the event loop."""
    ending: asyncio.TimerHandle | None = None


class KeptConnections:
    """Connections of `most` hosts at most; where that is 0, none is kept.

    Where all places are taken, the next one is not kept. Checks come round and round: if the one
    that was used least recently made room for it, none would be there when its host has its turn.
    """

    def __init__(self, most: int, kept_s: float = KEPT_S) -> None:
        self._most = most
        self._kept_s = kept_s
        self._idle: dict[str, _Kept] = {}  # by address
        self._used: dict[Session, _Kept] = {}  # of checks under way
        self._visits: dict[str, Visit] = {}  # by address
        self.opened = 0
        """Connections that were kept, since the start."""
        self.reused = 0
        """Checks that a kept connection carried, since the start."""
        self.broken = 0
        """Checks that a kept connection did not carry, so that they logged in, since the start."""

    def __len__(self) -> int:
        """How many connections are kept, and not in use."""
        return len(self._idle)

    @contextmanager
    def visit(self, address: str, login: object) -> Iterator[Visit]:
        """A check of a host, of which there is one at a time."""
        visit = self._visits[address] = Visit(address, login)
        try:
            yield visit
        finally:
            if self._visits.get(address) is visit:
                del self._visits[address]

    def take(self, visit: Visit) -> Session | None:
        """The host's connection, to give back or to hang up; None where there is none to use."""
        kept = self._pop(visit.address)
        if kept is None:
            return None
        if kept.login != visit.login or kept.until <= _now() or not kept.session.is_at_rest:
            kept.session.hang_up()
            return None
        self._used[kept.session] = kept
        return kept.session

    def give_back(self, visit: Visit, session: Session) -> None:
        """A check has ended well: keep the connection further."""
        kept = self._used.pop(session)
        self.reused += 1
        if not self._put(visit, kept):
            session.hang_up()

    def give_up(self, session: Session) -> None:
        """A check has not ended well: close the connection."""
        del self._used[session]
        self.broken += 1
        session.hang_up()

    def keep(self, visit: Visit, session: Session) -> bool:
        """Keep a connection that has just logged in; False where it is to be closed."""
        is_kept = self._put(visit, _Kept(session, visit.login, _now() + self._kept_s))
        self.opened += is_kept
        return is_kept

    def forget(self, address: str) -> None:
        """Close the connection to a host; that of a check under way is not kept."""
        self._visits.pop(address, None)
        if kept := self._pop(address):
            kept.session.hang_up()

    def forget_those(self, addresses: Container[str]) -> None:
        """Close the connections to these hosts."""
        for address in [*self._idle, *self._visits]:
            if address in addresses:
                self.forget(address)

    def forget_all(self) -> None:
        """Close all connections."""
        for address in [*self._idle, *self._visits]:
            self.forget(address)

    def _put(self, visit: Visit, kept: _Kept) -> bool:
        address, left_s = visit.address, kept.until - _now()
        if self._visits.get(address) is not visit or left_s <= 0 or not kept.session.is_at_rest:
            return False
        if len(self._idle) + len(self._used) >= self._most:
            return False
        self._idle[address] = kept
        kept.ending = asyncio.get_running_loop().call_later(left_s, self._end, address, kept)
        kept.session.when_lost(lambda: self._end(address, kept))
        return True

    def _end(self, address: str, kept: _Kept) -> None:
        """It is too old, or the host has closed it."""
        if self._idle.get(address) is kept:
            self._pop(address)
            kept.session.hang_up()

    def _pop(self, address: str) -> _Kept | None:
        kept = self._idle.pop(address, None)
        if kept is not None and kept.ending is not None:
            kept.ending.cancel()
        return kept


def _now() -> float:
    return asyncio.get_running_loop().time()
