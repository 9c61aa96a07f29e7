"""Sessions on hosts: a TCP connection, a checked host key, a login with our key, commands.

Private keys are in memory; the caller keeps host keys. Everything has a limit.
"""

import asyncio
import logging
import os
import pwd
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from runners.ssh.bounded_connection import Wire
from runners.ssh.command import Output, StdinScript, command_line, run_command
from runners.ssh.connect import Lookups, connected_socket
from runners.ssh.failure import HostKey, HostKeyMismatch, SshFailure
from runners.ssh.kept_connections import KeptConnections, Visit
from runners.ssh.login import HOST_KEY_ALGORITHMS, Target, Trust, log_in

__all__ = ["HostKey", "HostKeyMismatch", "Limits", "Output", "Session", "Ssh", "SshFailure"]
__all__ += ["Target", "Trust", "name_ourselves"]

CONNECT_TIMEOUT_S = 10.0  # name look-up and TCP
LOGIN_TIMEOUT_S = 20.0  # from SSH's banner until the key is accepted
COMMAND_TIMEOUT_S = 60.0
OUTPUT_BYTES_MAX = 4 * 1024 * 1024  # of one command, stdout and stderr, with login scripts' noise
CLOSE_TIMEOUT_S = 2.0
PARALLEL = 32  # connections at once, over all hosts
HOST_INTERVAL_S = 1.0  # between the starts of two connections to one address
ADDRESSES_KEPT = 1000  # of those whose interval is not over, and of those that read stdin

Permit = Callable[[], None]
"""Raises where nothing may be sent to the host any more: another process works on it."""


@dataclass(frozen=True)
class Limits:
    """Limits of a session, in seconds and bytes."""

    connect_s: float = CONNECT_TIMEOUT_S
    login_s: float = LOGIN_TIMEOUT_S
    command_s: float = COMMAND_TIMEOUT_S
    output_bytes: int = OUTPUT_BYTES_MAX


def name_ourselves(environment: MutableMapping[str, str]) -> None:
    """Put our user's name and home into the process's environment where they are missing.

    asyncssh looks up both with each connection, and needs neither. Without the variables it would
    read /etc/passwd each time, and fail where that has no such user, as in a container with an
    arbitrary uid.
    """
    try:
        user = pwd.getpwuid(os.geteuid())
        name, home = user.pw_name, user.pw_dir
    except KeyError:
        name, home = "commissaire", "/"
    for variable, value in (("LOGNAME", name), ("HOME", home)):
        environment[variable] = environment.get(variable) or value


class Session:
    """A login on a host; commands run one after the other over its one connection."""

    def __init__(
        self,
        target: Target,
        host_key: HostKey,
        limits: Limits,
        wire: Wire,
        permit: Permit,
        stdin_readers: set[str],
    ) -> None:
        self._address = target.address
        self.host_key = host_key
        """The key that the host proved to have."""
        self._limits = limits
        self._wire = wire
        self._permit = permit
        self._stdin_readers = stdin_readers

    @property
    def command_s(self) -> float:
        """How long a script may take."""
        return self._limits.command_s

    @property
    def is_at_rest(self) -> bool:
        """Whether the connection is open, and nothing of a command is left on it."""
        return self._wire.is_at_rest and not self._wire.is_closed()

    def hang_up(self) -> None:
        """Close the connection."""
        self._wire.is_at_rest = False
        if not self._wire.is_closed():
            self._wire.close()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call this as soon as the connection has ended."""
        self._wire.when_lost = tell

    async def run(
        self,
        script: str,
        *,
        timeout_s: float | None = None,
        output_bytes: int | None = None,
    ) -> Output:
        """Run a POSIX shell script to its end, whatever the user's login shell is.

        Stdin is empty. Raises SshFailure where the script did not run, not where it ended with a
        status; after a failure the session is closed. The limits are the session's unless given.
        """
        run = partial(
            run_command,
            self._wire,
            self._address,
            timeout_s=self._limits.command_s if timeout_s is None else timeout_s,
            output_bytes=self._limits.output_bytes if output_bytes is None else output_bytes,
        )
        if self._address not in self._stdin_readers:
            self._permit()
            sent = StdinScript(script)
            output = await run(sent.line, stdin=sent.stdin)
            if not sent.was_lost(output):
                return output
            if len(self._stdin_readers) < ADDRESSES_KEPT:
                self._stdin_readers.add(self._address)
        self._permit()
        return await run(command_line(script))


class Ssh:
    """Opens sessions: `parallel` at once, and at one host `per_host_interval_s` apart."""

    def __init__(
        self,
        parallel: int = PARALLEL,
        per_host_interval_s: float = HOST_INTERVAL_S,
        limits: Limits = Limits(),
        *,
        kept: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.kept = KeptConnections(kept)
        """What stays open of those that `connect` may keep."""
        self._places = asyncio.Semaphore(parallel)
        self._interval_s = per_host_interval_s
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._not_before: dict[str, float] = {}  # clock time of the next start, by address
        self.sessions = 0
        """Logins that succeeded since the start."""
        self.failures: Counter[str] = Counter()
        """Failures since the start, by `SshFailure.kind`, of logins and of sessions."""
        self.open = 0
        """Sessions that are open now."""
        self._lookups = Lookups()
        self._stdin_readers: set[str] = set()
        """Addresses whose login scripts read stdin: scripts get there as arguments."""
        # asyncssh tells each step of each connection at INFO.
        logging.getLogger("asyncssh").setLevel(logging.WARNING)

    @asynccontextmanager
    async def connect(
        self,
        target: Target,
        trust: Trust | None = None,
        permit: Permit = lambda: None,
        visit: Visit | None = None,
    ) -> AsyncIterator[Session]:
        """A session on the target, closed at the end of the block, unless it is kept: that takes a
        `visit`, and a block that ends well.

        Where no key is pinned, `trust` is awaited with the host's key before ours is offered.
        Raises SshFailure; HostKeyMismatch where the host shows another key than the pinned one,
        in which case no login was tried. `permit` is called before each command.
        """
        await self._turn(target.address)
        try:
            permit()
            wire, host_key = await self._log_in(target, trust)
            self.sessions, self.open, is_kept = self.sessions + 1, self.open + 1, False
            session = Session(target, host_key, self._limits, wire, permit, self._stdin_readers)
            try:
                yield session
                is_kept = visit is not None and self.kept.keep(visit, session)
            finally:
                self.open -= 1
                if not is_kept:
                    await _close(wire)
        except SshFailure as failure:
            self.failures[failure.kind] += 1
            raise
        finally:
            self._places.release()

    async def _log_in(self, target: Target, trust: Trust | None) -> tuple[Wire, HostKey]:
        """A login with one connection, or several where the kind of the pinned key is not known."""
        first: HostKeyMismatch | None = None
        spurned: list[str] = []
        while True:
            sock = await connected_socket(
                target.address, target.port, self._limits.connect_s, self._lookups
            )
            try:
                return await log_in(target, sock, self._limits.login_s, trust, spurned)
            except HostKeyMismatch as mismatch:
                first = first or mismatch
                spurned.append(mismatch.offered.algorithm)
                if mismatch.pinned.algorithm or len(spurned) == len(HOST_KEY_ALGORITHMS):
                    raise first from None
            except SshFailure as failure:
                if first is not None and failure.kind == "protocol":  # it has no further kinds
                    raise first from None
                raise
            await self._sleep(self._interval_s)

    async def _turn(self, address: str) -> None:
        """Take a slot, once a connection to this address may be started again."""
        while True:
            await self._places.acquire()
            now = self._clock()
            wait_s = self._not_before.get(address, now) - now
            if wait_s <= 0:
                self._not_before[address] = now + self._interval_s
                if len(self._not_before) > ADDRESSES_KEPT:
                    self._not_before = {a: t for a, t in self._not_before.items() if t > now}
                return
            self._places.release()
            await self._sleep(wait_s)


async def _close(wire: Wire) -> None:
    """Close the connection, within a limit."""
    wire.close()
    try:
        # Not `asyncio.timeout`: see `SourcePoller._close`.
        await asyncio.wait_for(wire.wait_closed(), CLOSE_TIMEOUT_S)
    except TimeoutError:
        wire.abort()
