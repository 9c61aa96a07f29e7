"""HTTP Basic (RFC 7617) against the users' bcrypt hashes.

A hash takes a quarter of a second on purpose, so each pair of name and password is hashed once
and then remembered, right or wrong, under a keyed digest. What is remembered holds as long as the
user's account is the one that it was compared with: a user who is added, changed or removed is
noticed by the next request.
"""

import base64
import binascii
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import bcrypt

from web.authentication.authentication import (
    BCRYPT_COST,
    NO_PASSWORD,
    PASSWORD_BYTES_MAX,
    REALM,
    Account,
    Again,
    Forbidden,
    Identity,
    Scope,
    Users,
    authorization,
)
from web.authentication.password_queue import Attempt, PasswordQueue
from web.authentication.presence import Presence, presence_of

VERIFIED_PAIRS_MAX = 4096
REFUSED_PAIRS_MAX = 16_384
# Counted from the last use: credentials in use are not hashed again.
REMEMBERED_S = 300.0

ACCOUNT_KEY = "commissaire.account"
"""Where the scope of a request has the name and the account of whoever logged in."""

# What follows the salt in a bcrypt hash: 31 characters, and these mean all zeros.
NO_HASH = b"." * 31
DIGEST_BYTES = 16
# IPv6 clients are usually given a network of this size, and can take any address in it.
IPV6_CLIENT_PREFIX = 64


class BasicAuthentication:
    """`Authorization: Basic`, for the users of `users`; passwords are checked by `queue`."""

    challenge = f'Basic realm="{REALM}"'

    def __init__(
        self, users: Users, queue: PasswordQueue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._users = users
        self._queue = queue
        self._key = secrets.token_bytes(DIGEST_BYTES)
        self._verified = _RememberedPairs(VERIFIED_PAIRS_MAX, clock)
        self._refused = _RememberedPairs(REFUSED_PAIRS_MAX, clock)
        self._unknown = _UnknownUsers()

    def remembered(self, scope: Scope) -> Identity | None:
        """Who is asking, if these very credentials were verified a moment ago: microseconds."""
        header = authorization(scope)
        if header is None:
            return None
        known = self._current(self._digest(header))
        if known is None:
            return None
        scope[ACCOUNT_KEY] = known.user, known.account
        return known.identity

    def again(self, scope: Scope) -> Again:
        """What asks who sends this name and password again."""
        digest = self._digest(authorization(scope) or b"")

        def again() -> Identity | None:
            known = self._current(digest)
            return None if known is None else known.identity

        return again

    def _current(self, digest: bytes) -> "_Remembered | None":
        """A verified pair, where the account is still the one that it was compared with."""
        known = self._verified.find(digest)
        if known is None or known.account != self._users.users.get(known.user):
            return None
        return known

    async def renew(self, scope: Scope) -> Identity | None:
        """None where the user was removed, or has another password."""
        user, before = scope[ACCOUNT_KEY]
        account = self._account(user)
        same = account is not None and account.hash == before.hash
        return account.identity(user) if account and same else None

    async def identify(self, scope: Scope) -> Identity | None:
        """Who is asking; hashes the password, in another thread, where that is needed.

        Raises Forbidden for wrong and malformed credentials, TooManyFailures after many of them,
        LogInsBusy where too many wait.
        """
        header = authorization(scope)
        if header is None or header.partition(b" ")[0].lower() != b"basic":
            return None
        return await self._check(scope, header)

    async def check(self, scope: Scope, user: str, password: str) -> Identity:
        """Who it is that says so in the body of a request. Raises as `identify` does."""
        pair = base64.b64encode(f"{user}:{password}".encode(errors="replace"))
        return await presence_of(scope).attend(self._check(scope, b"Basic " + pair))

    async def _check(self, scope: Scope, header: bytes) -> Identity:
        user, password = _decoded(header)
        pair, client, presence = self._digest(header), client_of(scope), presence_of(scope)
        while True:
            account = self._account(user)
            verdict = self._recall(pair, account)
            if verdict is None:
                attempt = self._attempt(client, presence, pair, user, password, account)
                verdict = await self._queue.matches(attempt)
            # An account that changed while its hash was under way is asked about again.
            if account == self._account(user):
                if account is None or not verdict:
                    raise Forbidden
                scope[ACCOUNT_KEY] = user, account
                return account.identity(user)

    def _account(self, user: str) -> Account | None:
        """The account of a user who has a password."""
        account = self._users.users.get(user)
        return account if account is not None and account.hash != NO_PASSWORD else None

    def _attempt(
        self,
        client: str,
        presence: Presence,
        pair: bytes,
        user: str,
        password: bytes,
        account: Account | None,
    ) -> Attempt:
        hashed = account.hash if account else self._unknown.hash_for(user, self._users.users)

        def learn(matched: bool) -> None:
            right = matched and account is not None
            memory = self._verified if right else self._refused
            memory.keep(pair, user, account)

        def recall() -> bool | None:
            return self._recall(pair, account)

        return Attempt(client, presence, user, pair, password, hashed, recall, learn)

    def _recall(self, pair: bytes, account: Account | None) -> bool | None:
        """What came out when this pair was last compared with this very account."""
        for memory, verdict in ((self._verified, True), (self._refused, False)):
            known = memory.find(pair)
            if known is not None and known.account == account:
                return verdict
        return None

    def _digest(self, header: bytes) -> bytes:
        return blake2b(header, key=self._key, digest_size=DIGEST_BYTES).digest()


def client_of(scope: Scope) -> str:
    """Whose failures are counted together: an IPv4 address, or the /64 of an IPv6 address."""
    host = str(scope["client"][0]) if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_CLIENT_PREFIX), strict=False))


def _decoded(header: bytes) -> tuple[str, bytes]:
    """User and password of a Basic header. Raises Forbidden where it cannot be right."""
    try:
        pair = base64.b64decode(header.partition(b" ")[2].strip(b" "), validate=True)
        user, colon, password = pair.decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        # Not `from` it: what could not be decoded may be a password.
        raise Forbidden from None
    secret = password.encode()
    # Nobody has such a password: `user add` refuses them. No hash is needed to know it.
    if not user or not colon or len(secret) > PASSWORD_BYTES_MAX or b"\0" in secret:
        raise Forbidden
    return user, secret


@dataclass(slots=True, eq=False)
class _Remembered:
    """Who a pair of name and password was for, and the account that it was compared with."""

    user: str
    account: Account | None
    identity: Identity | None
    used_at: float


class _RememberedPairs:
    """The pairs that were used last, by digest."""

    def __init__(self, pairs_max: int, clock: Callable[[], float]) -> None:
        self._pairs_max = pairs_max
        self._clock = clock
        # The one that was used last comes last.
        self._pairs: OrderedDict[bytes, _Remembered] = OrderedDict()

    def find(self, digest: bytes) -> _Remembered | None:
        known = self._pairs.get(digest)
        if known is None:
            return None
        now = self._clock()
        if now - known.used_at > REMEMBERED_S:
            del self._pairs[digest]
            return None
        known.used_at = now
        self._pairs.move_to_end(digest)
        return known

    def keep(self, digest: bytes, user: str, account: Account | None) -> None:
        identity = account.identity(user) if account else None
        self._pairs[digest] = _Remembered(user, account, identity, self._clock())
        self._pairs.move_to_end(digest)
        if len(self._pairs) > self._pairs_max:
            self._pairs.popitem(last=False)


class _UnknownUsers:
    """Hashes that no password has, so that a user that does not exist takes as long as one.

    Where users' hashes differ in cost, an unknown name has always the same one of those costs.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(DIGEST_BYTES)
        self._users: Mapping[str, Account] | None = None
        self._costs = [BCRYPT_COST]
        self._hashes: dict[int, bytes] = {}

    def hash_for(self, user: str, users: Mapping[str, Account]) -> bytes:
        if users is not self._users:
            self._users = users
            hashed = [account for account in users.values() if account.hash != NO_PASSWORD]
            self._costs = [account.cost for account in hashed] or [BCRYPT_COST]
        digest = blake2b(user.encode(), key=self._key, digest_size=DIGEST_BYTES).digest()
        cost = self._costs[int.from_bytes(digest) % len(self._costs)]
        if cost not in self._hashes:
            self._hashes[cost] = bcrypt.gensalt(cost) + NO_HASH
        return self._hashes[cost]
