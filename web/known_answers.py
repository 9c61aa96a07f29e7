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
from typing import Any, Protocol

from starlette.types import Scope

from domain.log.engine import PersistenceError
from web.authentication.authentication import Again, Authentication, Identity
from web.http.clients import FORWARDED_FOR, Clients
from web.http.replies import Header, SentAnswer
from web.http.requests import (
    ANSWER_KEY,
    REQUEST_KEY,
    RESTS_KEY,
    ROUTE_KEY,
    RequestIds,
    RestsOn,
)
from web.request_log import RequestLog, path_shown

DIGEST_BYTES = 16
ENTRY_BYTES = 1024
"""Counted for each answer beside its body."""
ASKED_MAX = 16_384
"""Of so many requests it is remembered that they came: 2 MB."""

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


class StateReads(Protocol):
    """Reads of a database that says whether it changed: `projections.reads.SQLiteReads`."""

    def moment(self) -> AbstractContextManager[int]:
        """A block in which the state of the database is asked once. Raises `PersistenceError`."""
        ...

    # Any: what a query takes and finds.
    def point_now(self, query: Callable[..., Any], *args: Any) -> Any:
        """Run a query that finds a few rows by their keys. Raises `PersistenceError`."""
        ...


@dataclass(slots=True)
class Known:
    """An answer, the state and the sender that it was for, and what the log says of it."""

    answer: SentAnswer
    state: int
    rests_on: RestsOn | None
    """What to ask after a commit: where it finds the same, the answer is the same."""
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
    """The answers to what was asked several times; least recently used ones go first.

    `must_go_on` raises `PersistenceError` where the read models are not to be read.
    """

    def __init__(
        self,
        reads: StateReads,
        must_go_on: Callable[[], None],
        authentication: Authentication,
        clients: Clients,
        log: RequestLog,
        position: Callable[[], int],
        bytes_max: int,
    ) -> None:
        self._reads = reads
        self._must_go_on = must_go_on
        self._authentication = authentication
        self._clients = clients
        self._log = log
        self._position = position
        self._ids = RequestIds()
        self._key = token_bytes(DIGEST_BYTES)
        self._bytes_max = bytes_max
        self._asked: set[bytes] = set()
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._bytes = 0

    def comes_again(self, request: bytes) -> bool:
        """Whether this request came before: the answer to one that comes once is not kept, since
        that takes as long as a part of answering."""
        key = self._digest(request)
        if key in self._asked:
            return True
        if len(self._asked) >= ASKED_MAX:
            self._asked.clear()
        self._asked.add(key)
        return False

    def state(self) -> int | None:
        """The state of the database; None where it does not say."""
        with suppress(PersistenceError), self._reads.moment() as state:
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
        key = self._digest(scope[REQUEST_KEY])
        self._forget(key)
        self._known[key] = Known(
            answer,
            state,
            scope.get(RESTS_KEY),
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
            with self._reads.moment() as state:
                if state != known.state and not self._finds_the_same(known.rests_on):
                    return False
                known.state = state
                return known.again() == known.identity
        except PersistenceError:
            return False

    def _finds_the_same(self, rests_on: RestsOn | None) -> bool:
        if rests_on is None:
            return False
        query, args, found = rests_on
        return bool(self._reads.point_now(query, *args) == found)

    def _digest(self, request: bytes) -> bytes:
        """Requests have passwords in them, and those are not kept."""
        return blake2b(request, key=self._key, digest_size=DIGEST_BYTES).digest()

    def _forget(self, key: bytes) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._bytes -= len(known.answer.body) + ENTRY_BYTES
