"""Known answers: a request that comes again, byte for byte, is answered without being parsed.

What a route that is marked `of_state` answers follows from three things: the bytes of the request,
who sends it, and the state of the database. So an answer is kept by a digest of those bytes, until
anybody commits anything; and whether its sender may still log in, as who they were, is asked each
time. It has a name, a line in the log and a place in the counts like any other.

Only requests of SQLite's one process: another database would have to be asked for its state.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes
from time import perf_counter

from starlette.types import Scope

from domain.log.engine import PersistenceError
from web.authentication.authentication import Again, Authentication, Identity
from web.http.clients import FORWARDED_FOR, Clients
from web.http.replies import Header, SentAnswer
from web.http.requests import ANSWER_KEY, REQUEST_KEY, ROUTE_KEY, RequestIds
from web.request_log import RequestLog, path_shown

DIGEST_BYTES = 16
ENTRY_BYTES = 1024
"""Counted for each answer beside its body."""

# What a request may have besides, to be known again: everything else may mean that there is a
# body, that the connection ends, or that the next one will not be the same.
HEADERS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"host",
        b"if-none-match",
        b"user-agent",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
HEAD_END = b"%bx-request-id: %b\r\ncommissaire-position: %d\r\n\r\n"
KEEP_ALIVE: Header = (b"connection", b"keep-alive")


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, the state and the sender that it was for, and what the log says of it."""

    answer: SentAnswer
    state: int
    identity: Identity
    again: Again
    route: str
    path: str
    forwarded: list[Header]
    """The headers that say for whom a proxy speaks."""


def can_be_known(headers: Iterable[Header]) -> bool:
    """Whether a GET with these headers is nothing but a question."""
    return all(header[0] in HEADERS or header == KEEP_ALIVE for header in headers)


class KnownAnswers:
    """The answers that were given since the last commit; least recently used ones go first.

    `moment` asks for the state of the database, and `must_go_on` whether read models are good;
    both raise `PersistenceError`.
    """

    def __init__(
        self,
        moment: Callable[[], AbstractContextManager[int]],
        must_go_on: Callable[[], None],
        authentication: Authentication,
        clients: Clients,
        log: RequestLog,
        position: Callable[[], int],
        bytes_max: int,
    ) -> None:
        self._moment = moment
        self._must_go_on = must_go_on
        self._authentication = authentication
        self._clients = clients
        self._log = log
        self._position = position
        self._ids = RequestIds()
        self._key = token_bytes(DIGEST_BYTES)
        self._bytes_max = bytes_max
        self._state: int | None = None
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._bytes = 0

    def state(self) -> int | None:
        """The state of the database; None where it does not say."""
        with suppress(PersistenceError), self._moment() as state:
            return state
        return None

    def keep(self, scope: Scope, state: int) -> None:
        """Keep what was answered to a request that began in this state."""
        answer: SentAnswer | None = scope.get(ANSWER_KEY)
        if answer is None or state != self.state():
            return
        again = self._authentication.again(scope)
        size = len(answer.body) + ENTRY_BYTES
        if again is None or size > self._bytes_max:
            return
        if state != self._state:  # what is kept is of another one
            self._known.clear()
            self._state, self._bytes = state, 0
        key = self._digest(scope[REQUEST_KEY])
        self._forget(key)
        self._known[key] = Known(
            answer,
            state,
            scope["user"],
            again,
            scope[ROUTE_KEY],
            path_shown(scope["raw_path"]),
            [header for header in scope["headers"] if header[0] == FORWARDED_FOR],
        )
        self._bytes += size
        while self._bytes > self._bytes_max:
            self._forget(next(iter(self._known)))

    def answer(self, request: bytes, client: tuple[str, int] | None) -> SentAnswer | None:
        """The whole answer, where it is known; None has the request parsed."""
        if not self._known:
            return None
        began = perf_counter()
        key = self._digest(request)
        known = self._known.get(key)
        if known is None or not self._still_holds(known):
            return None
        self._known.move_to_end(key)
        origin = self._clients.of({"client": client, "headers": known.forwarded})
        request_id, answer = self._ids.next(), known.answer
        head = HEAD_END % (answer.head, request_id.encode(), self._position())
        seconds = perf_counter() - began
        self._log.tell(
            known.route,
            "GET",
            known.path,
            answer.status,
            seconds,
            known.identity.user,
            request_id,
            origin.address,
        )
        return SentAnswer(answer.status, head, answer.body)

    def _still_holds(self, known: Known) -> bool:
        """Whether the same request would be answered the same now."""
        try:
            self._must_go_on()
            with self._moment() as state:
                return state == known.state and known.again() == known.identity
        except PersistenceError:
            return False

    def _digest(self, request: bytes) -> bytes:
        """Requests have passwords in them, and those are not kept."""
        return blake2b(request, key=self._key, digest_size=DIGEST_BYTES).digest()

    def _forget(self, key: bytes) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._bytes -= len(known.answer.body) + ENTRY_BYTES
