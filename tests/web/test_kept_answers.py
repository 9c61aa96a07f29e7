"""How much is kept of answers, and when none of it is used."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytest

from domain.log.engine import OperationalError
from tests.web.service import KNOWN_BYTES_MAX
from web import known_answers
from web.authentication.authentication import (
    ADMITTED_BY_KEY,
    Again,
    Authentication,
    Identity,
    RenewingAuthenticator,
    Scope,
)
from web.http.clients import Clients
from web.http.replies import SentAnswer
from web.http.requests import ANSWER_KEY, REQUEST_KEY, RESTS_KEY, ROUTE_KEY, RestsOn
from web.known_answers import ENTRY_BYTES, KnownAnswers
from web.request_log import RequestLog


def test_only_so_many_bytes_are_kept_and_the_least_recently_used_goes() -> None:
    known, state = memory(3 * (ENTRY_BYTES + 10))
    for name in (b"a", b"b", b"c"):
        known.keep(asked(name, b"x" * 10), state)
    assert known.answer(b"a", None)
    known.keep(asked(b"d", b"x" * 10), state)
    assert [name for name in (b"a", b"b", b"c", b"d") if known.answer(name, None)] == [
        *(b"a", b"c", b"d")
    ]
    known.keep(asked(b"e", b"x" * 10_000), state)
    assert known.answer(b"e", None) is None, "it is longer than all that is kept"
    known.keep(asked(b"f", b""), state - 1)
    assert known.answer(b"f", None) is None, "something was committed while it was made"


def test_nothing_is_known_where_a_read_model_has_stopped_or_the_database_is_away() -> None:
    known, state = memory(KNOWN_BYTES_MAX)
    known.keep(asked(b"a", b""), state)
    assert known.answer(b"a", None)
    for where, fault in ((known, "_must_go_on"), (vars(known)["_reads"], "moment")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, fault, out_of_order)
            assert known.answer(b"a", None) is None
            known.keep(asked(b"b", b""), state)
    assert known.answer(b"a", None)


def out_of_order() -> AbstractContextManager[int]:
    """A database that does not answer."""
    raise OperationalError("away")


class Recognizes:
    """Credentials that are always good."""

    challenge = None

    def again(self, scope: Scope) -> Again:
        """Whoever it was."""
        return lambda: scope["user"]


RECOGNIZES = Recognizes()


class Standing:
    """A database, and the rows that it has, by name."""

    def __init__(self) -> None:
        self.state = 7
        self.rows: dict[str, int] = {}

    def moment(self) -> AbstractContextManager[int]:
        """As of now."""
        return nullcontext(self.state)

    def point_now(self, query: Callable[[str], int], *args: str) -> int:
        """What the query finds."""
        return query(*args)


def memory(bytes_max: int, reads: Standing | None = None) -> tuple[KnownAnswers, int]:
    """A memory over a database, and its state."""
    reads = reads or Standing()
    known = KnownAnswers(
        reads,
        lambda: None,
        Authentication(cast(RenewingAuthenticator, RECOGNIZES)),
        Clients(),
        RequestLog(lambda *_, **__: None),
        lambda: 0,
        bytes_max,
    )
    return known, reads.state


def asked(name: bytes, body: bytes) -> dict[str, object]:
    """The scope of a request that was answered."""
    return {
        REQUEST_KEY: name,
        ANSWER_KEY: SentAnswer(200, b"", body),
        ROUTE_KEY: "/",
        ADMITTED_BY_KEY: RECOGNIZES,
        "user": Identity("ada", "viewer"),
        "raw_path": b"/",
        "headers": [],
    }


def test_only_what_came_before_comes_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_answers, "ASKED_MAX", 2)
    known, _ = memory(KNOWN_BYTES_MAX)
    assert [known.comes_again(each) for each in (b"a", b"b", b"a", b"c", b"c", b"a")] == [
        *(False, False, True, False, True, False)
    ]


def test_what_rests_on_one_row_stands_until_that_row_changes() -> None:
    reads = Standing()
    known, state = memory(KNOWN_BYTES_MAX, reads)
    reads.rows["a"] = 1
    rests = {RESTS_KEY: RestsOn(reads.rows.__getitem__, ("a",), 1)}
    known.keep(asked(b"row", b"") | rests, state)
    known.keep(asked(b"state", b""), state)
    assert known.answer(b"row", None)
    assert known.answer(b"state", None)
    reads.state += 1
    assert known.answer(b"row", None)
    assert known.answer(b"state", None) is None
    reads.state, reads.rows["a"] = reads.state + 1, 2
    assert known.answer(b"row", None) is None
