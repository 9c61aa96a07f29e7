"""A login over a connected socket: the host key is checked first, then our key is offered.

Nothing is read from the environment, from ~/.ssh or from an agent, and nothing is written.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

import asyncssh

from runners.security.private_keys import PrivateKey, defect_of_certificate
from runners.ssh.bounded_connection import Wire
from runners.ssh.failure import (
    REFUSED_KEY,
    HostKey,
    HostKeyMismatch,
    no_host_key,
    no_login,
    not_ssh,
    plain,
    second_factor,
    slow_login,
    turned_away,
)

# Asked for in this order. Certificates are left out: a pin is a key.
HOST_KEY_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
# AES-GCM first: asyncssh makes new cipher contexts for each packet of ChaCha20, a sixth of the
# CPU of a whole short connection.
CIPHERS = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
# All of asyncssh's but groups that the host makes up: whether they are primes takes seconds each
# time, in which the event loop stands still. The last has RSA keys that it makes up.
KEY_EXCHANGES = "-gss-*,diffie-hellman-group-exchange-*,rsa2048-sha256"

CertifiedKey = list[tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]]

Trust = Callable[[HostKey], Awaitable[None]]
"""Called on first contact, after the host has proved its key and before ours is offered. What it
raises ends the login."""


@dataclass(frozen=True)
class Target:
    """A host, a user and a private key. `pinned` is the required host key, None on first contact.

    Where the algorithm of `pinned` is "", its kind is not known, and finding it takes a connection
    for each kind that the host has.
    """

    address: str
    """An IPv4 or IPv6 address or a host name."""
    port: int
    user: str
    key: PrivateKey
    pinned: HostKey | None = None


async def log_in(
    target: Target,
    sock: socket.socket,
    limit_s: float,
    trust: Trust | None = None,
    spurned: Collection[str] = (),
) -> tuple[Wire, HostKey]:
    """A connection that is logged in, and the host's key; the socket is closed on failure.

    Host keys of the `spurned` algorithms are not asked for. Raises SshFailure, HostKeyMismatch,
    and what `trust` raises.
    """
    address, port = target.address, target.port
    algorithms = _algorithms(target.pinned, spurned)
    visitor = _Visitor(target, trust, algorithms)
    try:
        async with asyncio.timeout(limit_s):
            wire = await _connect(target, sock, visitor, algorithms)
    except TimeoutError:
        sock.close()
        if visitor.distrust is not None:
            raise visitor.distrust from None
        if visitor.met_something_else():
            raise not_ssh(address, port) from None
        raise slow_login(address, port, limit_s) from None
    # asyncssh passes on whatever its parsers raise on bytes that make no sense.
    except Exception as error:
        sock.close()
        if visitor.distrust is not None:
            raise visitor.distrust from None
        if visitor.refused is not None and target.pinned is not None:
            raise HostKeyMismatch(address, target.pinned, visitor.refused) from None
        if visitor.met_something_else(error):
            raise not_ssh(address, port) from error
        if visitor.shares_no_kind_of_key():
            raise no_host_key(address, visitor.kinds_of_key()) from error
        if visitor.wants_more_than_a_key():
            raise second_factor(address, target.user, visitor.words) from error
        if visitor.words:
            raise turned_away(address, target.user, visitor.words) from error
        certificate = defect_of_certificate(target.key, target.user)
        raise no_login(address, port, target.user, error, certificate) from error
    except BaseException:
        sock.close()
        raise
    try:
        return wire, await visitor.trusted_key()
    except BaseException:
        wire.abort()
        raise


class _Visitor(asyncssh.SSHClient):
    """Accepts the pinned host key only (without a pin, the first), then offers the one key."""

    def __init__(self, target: Target, trust: Trust | None, algorithms: list[str]) -> None:
        self._pinned = target.pinned
        self._keys: list[asyncssh.SSHKey | CertifiedKey] = [target.key.key]
        if target.key.certificate is not None:
            self._keys = [[(target.key.key, target.key.certificate)]]
        self._algorithms = algorithms
        self._trust = trust if target.pinned is None else None
        self._wire: asyncssh.SSHClientConnection | None = None
        self._accepted: HostKey | None = None
        self.refused: HostKey | None = None
        self.distrust: Exception | None = None
        self.words = ""
        """What the host had to say once it was offered our key, as PAM does ("expired")."""

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """A text before the login is done. That of sshd's Banner comes before our key is sent."""
        if not self._keys:
            self.words = plain(f"{self.words} {msg}")

    def wants_more_than_a_key(self) -> bool:
        """Whether the host took our key, and wants another method of authentication as well."""
        return isinstance(self._wire, Wire) and self._wire.is_half_in

    async def trusted_key(self) -> HostKey:
        """The host's key, after `trust` was asked about it, where there is one to ask."""
        # No host key: a kind of key exchange that we never ask for.
        if self._accepted is None:
            raise asyncssh.HostKeyNotVerifiable("no host key was shown")
        if self._trust is not None:
            trust, self._trust = self._trust, None
            try:
                await trust(self._accepted)
            except Exception as distrust:
                self.distrust = distrust
                raise
        return self._accepted

    def met_something_else(self, error: Exception | None = None) -> bool:
        """Whether the host sent something, but no SSH version."""
        wire = self._wire
        if wire is None or wire.get_extra_info("server_version") is not None:
            return False
        if isinstance(error, asyncssh.ProtocolNotSupported):
            return False  # a version, but not ours
        # One line and an end is how sshd turns us away ("Exceeded MaxStartups"). asyncssh counts
        # lines for itself only; without that, what follows is taken for a dropped connection.
        return isinstance(error, asyncssh.ProtocolError) or getattr(wire, "_banner_lines", 0) > 1

    def kinds_of_key(self) -> list[str]:
        """Names of the host key algorithms that the host offered; empty where it offered none."""
        if self._wire is None:
            return []
        return _host_key_algorithms(self._wire.get_hash_prefix())

    def shares_no_kind_of_key(self) -> bool:
        """Whether the host has no key of the kinds asked for, and so closes without a reason."""
        kinds = self.kinds_of_key()
        return bool(kinds) and not set(kinds) & set(self._algorithms)

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._wire = conn

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(self._wire, Wire):
            self._wire.when_lost()

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Called at each key exchange; asyncssh then checks that the host has the private half."""
        shown = HostKey(key.get_algorithm(), key.get_fingerprint())
        wanted = self._accepted or self._pinned
        if wanted is not None and wanted.fingerprint != shown.fingerprint:
            self.refused = shown
            if self._wire is not None:
                self._wire.set_extra_info(**{REFUSED_KEY: shown})
            return False
        self._accepted = shown
        return True

    async def public_key_auth_requested(self) -> asyncssh.SSHKey | CertifiedKey | None:
        """Our key, once, its certificate first; asyncssh calls this where the host wants a key."""
        await self.trusted_key()
        return self._keys.pop() if self._keys else None


async def _connect(
    target: Target, sock: socket.socket, visitor: _Visitor, algorithms: list[str]
) -> Wire:
    """Does what `asyncssh.connect` does, without its preparation of options.

    It prepares them anew for each connection, and in a thread, since they may come from files.
    Ours never do; that is a twentieth of the CPU of a look.
    """
    loop = asyncio.get_running_loop()
    options = copy(_options(tuple(algorithms)))
    options.host, options.port, options.username = target.address, target.port, target.user
    options.protocol_factory = lambda: visitor
    logged_in = options.waiter = loop.create_future()
    _, wire = await loop.create_connection(lambda: Wire(loop, options, wait="auth"), sock=sock)
    wire.set_extra_info(host=target.address, port=target.port)
    try:
        await logged_in
    except BaseException:
        wire.abort()
        await wire.wait_closed()
        raise
    wire.begin_command()
    return wire


@lru_cache(maxsize=1 << len(HOST_KEY_ALGORITHMS))
def _options(algorithms: tuple[str, ...]) -> asyncssh.SSHClientConnectionOptions:
    """Options of asyncssh that leave nothing to files, the environment or an agent."""
    return asyncssh.SSHClientConnectionOptions(
        username="",
        client_keys=None,  # not (), which reads ~/.ssh; the visitor has it
        preferred_auth=["publickey"],
        agent_path=None,
        config=None,
        # Not None, which skips the check, and not empty, which reads ~/.ssh/known_hosts.
        known_hosts=([], [], []),
        server_host_key_algs=list(algorithms),
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        gss_host=None,
        kex_algs=KEY_EXCHANGES,
        encryption_algs=CIPHERS,
        compression_algs=["none"],
        utf8_decode_errors="replace",  # in what a host says when it hangs up
        login_timeout=0,  # ours is around it all
        connect_timeout=None,
        tcp_keepalive=True,
    )


def _algorithms(pinned: HostKey | None, spurned: Collection[str]) -> list[str]:
    """Host key algorithms, the pinned one's first: a host may have keys of several kinds."""
    kinds = [kind for kind in HOST_KEY_ALGORITHMS if kind not in spurned]
    kinds.sort(key=lambda kind: pinned is None or kind != pinned.algorithm)
    return [name for kind in kinds for name in HOST_KEY_ALGORITHMS[kind]]


def _host_key_algorithms(exchange: bytes) -> list[str]:
    """Host key algorithms of the server's KEXINIT (RFC 4253, 7.1), from asyncssh's hash prefix.

    That is four strings with their lengths in front: both versions, both KEXINITs.
    """
    for _ in range(3):
        exchange = exchange[4 + int.from_bytes(exchange[:4], "big") :]
    names = exchange[4 + 1 + 16 :]  # length, message number, cookie
    key_exchanges = int.from_bytes(names[:4], "big")
    names = names[4 + key_exchanges :]
    text = names[4 : 4 + int.from_bytes(names[:4], "big")].decode("ascii", "replace")
    return text.split(",") if text else []
