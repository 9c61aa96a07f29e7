"""One way to a host: a TCP connection, a host key that is checked, our key, commands over it.

Nothing is read from the environment, from ~/.ssh or from an agent, and nothing is written: keys
are in memory, host keys come from and go to the caller. Everything has a limit.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh

from runners.connecting import connected_socket
from runners.keys import PrivateKey
from runners.remote_command import Output, command_line, run_command
from runners.ssh_failure import HostKey, HostKeyMismatch, no_login, not_ssh, slow_login

CONNECT_TIMEOUT_S = 10.0  # name look-up and TCP
LOGIN_TIMEOUT_S = 20.0  # from SSH's banner until the key is accepted
COMMAND_TIMEOUT_S = 60.0
OUTPUT_BYTES_MAX = 4 * 1024 * 1024  # of one command, stdout and stderr, with login scripts' noise
CLOSE_TIMEOUT_S = 2.0
PARALLEL = 32  # connections at once, over all hosts
HOST_INTERVAL_S = 1.0  # between the starts of two connections to one address
LOOKUP_THREADS = 4  # of our own: name servers that hang must not hold up other threads' work

# Asked for in this order. Certificates are left out: a pin is a key.
HOST_KEY_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
# AES-GCM first: asyncssh makes two new cipher contexts per packet for ChaCha20, a sixth of the
# CPU of a whole short connection.
CIPHERS = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)


@dataclass(frozen=True)
class Target:
    """Whom to connect to as whom. `pinned` is the key to insist on, None on first contact."""

    address: str
    """An IPv4 or IPv6 address or a host name."""
    port: int
    user: str
    key: PrivateKey
    pinned: HostKey | None = None


@dataclass(frozen=True)
class Limits:
    """How long and how much; seconds and bytes."""

    connect_s: float = CONNECT_TIMEOUT_S
    login_s: float = LOGIN_TIMEOUT_S
    command_s: float = COMMAND_TIMEOUT_S
    output_bytes: int = OUTPUT_BYTES_MAX


class Session:
    """A login on a host; commands run one after the other over its one connection."""

    def __init__(
        self,
        target: Target,
        host_key: HostKey,
        limits: Limits,
        wire: asyncssh.SSHClientConnection,
    ) -> None:
        self.target = target
        self.host_key = host_key
        """As the host proved to have it."""
        self._limits = limits
        self._wire = wire

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
        return await run_command(
            self._wire,
            self.target.address,
            command_line(script),
            self._limits.command_s if timeout_s is None else timeout_s,
            self._limits.output_bytes if output_bytes is None else output_bytes,
        )


class Ssh:
    """Makes sessions, so many at once over all hosts and so many seconds apart for one host."""

    def __init__(
        self,
        parallel: int = PARALLEL,
        per_host_interval_s: float = HOST_INTERVAL_S,
        limits: Limits = Limits(),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._places = asyncio.Semaphore(parallel)
        self._interval_s = per_host_interval_s
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._not_before: dict[str, float] = {}  # clock time of the next start, by address
        self._lookups = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")
        # asyncssh tells each step of each connection at INFO.
        logging.getLogger("asyncssh").setLevel(logging.WARNING)

    def close(self) -> None:
        """Let go of the threads that look up names; sessions are closed by their `async with`."""
        self._lookups.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def connect(self, target: Target) -> AsyncIterator[Session]:
        """A session on the target, closed at the end of the block whatever happened in it.

        Raises SshFailure; HostKeyMismatch where the host shows another key than the pinned one,
        in which case no login was tried.
        """
        await self._turn(target.address)
        try:
            sock = await connected_socket(
                target.address, target.port, self._limits.connect_s, self._lookups
            )
            checker = _HostKeyChecker(target.pinned)
            wire = await self._login(target, sock, checker)
            try:
                assert checker.accepted is not None
                yield Session(target, checker.accepted, self._limits, wire)
            finally:
                await _close(wire)
        finally:
            self._places.release()

    async def _turn(self, address: str) -> None:
        """Take a place, when it is also time to start a connection to this address again."""
        while True:
            await self._places.acquire()
            now = self._clock()
            wait_s = self._not_before.get(address, now) - now
            if wait_s <= 0:
                self._forget_past(now)
                self._not_before[address] = now + self._interval_s
                return
            self._places.release()
            await self._sleep(wait_s)

    def _forget_past(self, now: float) -> None:
        if len(self._not_before) > 1000 and next(iter(self._not_before.values())) <= now:
            self._not_before = {a: t for a, t in self._not_before.items() if t > now}

    async def _login(
        self, target: Target, sock: socket.socket, checker: "_HostKeyChecker"
    ) -> asyncssh.SSHClientConnection:
        """SSH over the connected socket, which is closed unless that works."""
        address, port = target.address, target.port
        try:
            async with asyncio.timeout(self._limits.login_s):
                return await asyncssh.connect(
                    address,
                    port,
                    sock=sock,
                    client_factory=lambda: checker,
                    **_options(target),
                )
        except TimeoutError:
            sock.close()
            if checker.met_something_else():
                raise not_ssh(address, port) from None
            raise slow_login(address, port, self._limits.login_s) from None
        # asyncssh passes on whatever its parsers raise on bytes that make no sense.
        except Exception as error:
            sock.close()
            if isinstance(error, asyncssh.HostKeyNotVerifiable) and checker.refused is not None:
                assert target.pinned is not None
                raise HostKeyMismatch(address, target.pinned, checker.refused) from None
            if checker.met_something_else(error):
                raise not_ssh(address, port) from error
            raise no_login(address, port, target.user, error) from error
        except BaseException:
            sock.close()
            raise


class _HostKeyChecker(asyncssh.SSHClient):
    """Accepts the pinned key only; without a pin, the first key that is shown."""

    def __init__(self, pinned: HostKey | None) -> None:
        self._pinned = pinned
        self._wire: asyncssh.SSHClientConnection | None = None
        self.accepted: HostKey | None = None
        self.refused: HostKey | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._wire = conn

    def met_something_else(self, error: Exception | None = None) -> bool:
        """Whether there was talk, but no SSH version in it."""
        wire = self._wire
        if wire is None or wire.get_extra_info("server_version") is not None:
            return False
        if isinstance(error, asyncssh.ProtocolNotSupported):
            return False  # a version, but not ours
        # One line and an end is how sshd turns us away ("Exceeded MaxStartups"). asyncssh counts
        # lines for itself only; without that, what follows is taken for a dropped connection.
        return isinstance(error, asyncssh.ProtocolError) or getattr(wire, "_banner_lines", 0) > 1

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Called at each key exchange; asyncssh then checks that the host has the private half."""
        shown = HostKey(key.get_algorithm(), key.get_fingerprint())
        wanted = self.accepted or self._pinned
        if wanted is not None and wanted.fingerprint != shown.fingerprint:
            self.refused = shown
            return False
        self.accepted = shown
        return True


def _options(target: Target) -> dict[str, object]:
    """Options of asyncssh that leave nothing to files, the environment or an agent."""
    return {
        "username": target.user,
        "client_keys": [target.key.key],
        "preferred_auth": ["publickey"],
        "agent_path": None,
        "config": None,
        # Not None, which skips the check, and not empty, which reads ~/.ssh/known_hosts.
        "known_hosts": ([], [], []),
        "server_host_key_algs": _algorithms(target.pinned),
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "gss_host": None,
        "encryption_algs": CIPHERS,
        "compression_algs": ["none"],
        "utf8_decode_errors": "replace",  # in what a host says when it hangs up
        "login_timeout": 0,  # ours is around it all
        "connect_timeout": None,
        "tcp_keepalive": True,
    }


def _algorithms(pinned: HostKey | None) -> list[str]:
    """All host key algorithms, the pinned one's first: a host may have keys of several kinds."""
    first = HOST_KEY_ALGORITHMS.get(pinned.algorithm, ()) if pinned else ()
    rest = [name for names in HOST_KEY_ALGORITHMS.values() for name in names if name not in first]
    return [*first, *rest]


async def _close(wire: asyncssh.SSHClientConnection) -> None:
    """Say goodbye, and do not wait for an answer."""
    wire.close()
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await wire.wait_closed()
    except TimeoutError:
        wire.abort()
