"""Who may log in, as of now: the accounts of the database, and those of files that are named.

SQLite is asked for once a turn of the event loop whether anybody has committed anything, as reads
of read models ask (`projections/reads.py`). PostgreSQL is asked for each request, and requests
that come while it is asked share the next question: so what was taken back is refused with the next
request, in every process.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType

from domain.event import TIME_FORMAT
from domain.log.engine import PersistenceError, Stopped, Unusable
from domain.refusal import unavailable
from projections.accounts import queries
from projections.accounts.queries import NOBODY, Everybody, KnownSession, KnownToken
from projections.reads import Reads, SQLiteReads
from runners.security.tokens import TokensFile
from runners.security.users import UsersFile
from web.authentication.authentication import Account, Identity
from web.authentication.sessions import OpenSession
from web.authentication.tokens import Token
from web.resources.accounts.account_book import FileToken

DIGEST_BYTES = 32
NO_USERS: Mapping[str, Account] = MappingProxyType({})


class Accounts:
    """What all kinds of credentials go by. On the event loop's thread.

    Accounts of the files come before those of the database that have the same name.
    """

    def __init__(
        self,
        reads: Reads,
        stopped: Callable[[], Stopped | None],
        users_file: UsersFile | None,
        tokens_file: TokensFile | None,
    ) -> None:
        self.users_file = users_file
        self.tokens_file = tokens_file
        self._reads = reads
        self._stopped = stopped
        self._at_once = reads if isinstance(reads, SQLiteReads) else None
        self._seen = -1
        self._is_blind = False
        self._known = NOBODY
        self._in_file = NO_USERS
        self._users: Mapping[str, Account] = MappingProxyType({})
        self._tokens: dict[bytes, Token] = {}
        self._sessions: dict[bytes, OpenSession] = {}
        self._next: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()

    def is_current(self) -> bool:
        """Whether whatever is asked is answered as of now; never waits, never raises."""
        return self._at_once is not None and not self._is_blind and self._stopped() is None

    async def refresh(self) -> None:
        """Have it known as of now. Raises `Refusal` where that cannot be."""
        stopped = self._stopped()
        if stopped is not None:
            raise unavailable(str(stopped))
        try:
            if self._at_once is not None:
                self._look_at_once(self._at_once)
                self._is_blind = False
                return
            if self._next is None:
                self._next = asyncio.create_task(self._look())
                self._next.add_done_callback(_is_told)
            await asyncio.shield(self._next)  # others wait for it as well
        except Unusable:  # in what words is for `/readyz`: who asks here is not known yet
            raise unavailable("The database refuses what it is asked.") from None
        except PersistenceError:
            raise unavailable("The database cannot be reached: try again.") from None

    @property
    def users(self) -> Mapping[str, Account]:
        """All users by name; the same object while nothing changes."""
        self._look_if_that_is_cheap()
        in_file = self.users_file.users if self.users_file is not None else NO_USERS
        if in_file is not self._in_file:
            self._in_file = in_file
            self._merge()
        return self._users

    @property
    def users_of_file(self) -> Mapping[str, Account]:
        """Those of a file, which come before those of the database."""
        _ = self.users
        return self._in_file

    @property
    def tokens_of_file(self) -> Mapping[str, FileToken]:
        """The tokens of a file, by name."""
        if self.tokens_file is None:
            return {}
        return {
            name: FileToken(
                token.role,
                token.created.strftime(TIME_FORMAT),
                token.expires.strftime(TIME_FORMAT) if token.expires else "",
            )
            for name, token in self.tokens_file.entries.items()
        }

    def find(self, digest: bytes) -> Token | None:
        """The token with this digest."""
        if self.tokens_file is not None:
            found = self.tokens_file.find(digest)
            if found is not None:
                return found
        _ = self.users  # what a token is worth depends on its owner
        return self._tokens.get(digest)

    def find_session(self, digest: bytes) -> OpenSession | None:
        """The session whose cookie has this digest."""
        _ = self.users  # who it is of may have changed
        return self._sessions.get(digest)

    def password_mark(self, user: str) -> bytes:
        """What a session of a user keeps where nobody says in the log that the password changed."""
        account = self._in_file.get(user)
        return sha256(account.hash).digest() if account is not None else b""

    @property
    def known(self) -> Everybody:
        """The accounts of the database."""
        self._look_if_that_is_cheap()
        return self._known

    def _look_if_that_is_cheap(self) -> None:
        if self._at_once is not None:
            try:
                self._look_at_once(self._at_once)
            except PersistenceError:
                self._is_blind = True  # until `refresh` finds that it is not

    def _look_at_once(self, reads: SQLiteReads) -> None:
        seen = reads.seen()
        if seen != self._seen:
            self._take(reads.point_now(queries.everybody, self._known.mark))
            self._seen = seen

    async def _look(self) -> None:
        async with self._asking:
            self._next = None  # whoever asks from here on is not answered by this look
            self._take(await self._reads.fresh(queries.everybody, self._known.mark))

    def _take(self, found: Everybody | None) -> None:
        if found is not None:
            self._known = found
            self._merge()

    def _merge(self) -> None:
        known = self._known
        of_database = {
            user.name: Account(user.hash, user.standing.role, user.standing.clusters)
            for user in known.users
        }
        self._users = MappingProxyType(of_database | dict(self._in_file))
        self._tokens = {
            each.digest: token for each in known.tokens if (token := self._token(each)) is not None
        }
        self._sessions = dict(filter(None, map(self._session, known.sessions)))

    def _token(self, known: KnownToken) -> Token | None:
        """What a token is worth: no more than its owner may do now, and nothing without them."""
        may = known.standing
        if known.owner:
            owner = self._users.get(known.owner)
            if owner is None:
                return None
            may = may.within(owner.identity(known.owner).standing)
        # No user has a name with a colon in it.
        return Token(Identity(f"token:{known.name}", *may), seconds(known.expires))

    def _session(self, known: KnownSession) -> tuple[bytes, OpenSession] | None:
        """A session of a user who is there, by the digest of its cookie."""
        account = self._users.get(known.user)
        digest, mark = known.digest[:DIGEST_BYTES], known.digest[DIGEST_BYTES:]
        if account is None or not digest or mark != self.password_mark(known.user):
            return None
        identity = account.identity(known.user)
        return digest, OpenSession(known.id, identity, seconds(known.ends))


def _is_told(look: "asyncio.Task[None]") -> None:
    """Whoever waits is told of a failure; where nobody is left, it is no news."""
    if not look.cancelled():
        look.exception()


def seconds(time: str) -> float:
    """A time of the log in seconds since the epoch; infinity for ""."""
    if not time:
        return math.inf
    return datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC).timestamp()
