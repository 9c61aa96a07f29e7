"""How much is kept of answers, and when none of it is used."""

from contextlib import AbstractContextManager, nullcontext

import pytest

from domain.log.engine import OperationalError
from tests.web.service import KNOWN_BYTES_MAX
from web.authentication.authentication import (
    ADMITTED_BY_KEY,
    Again,
    Authentication,
    Identity,
    Scope,
)
from web.http.clients import Clients
from web.http.replies import SentAnswer
from web.http.requests import ANSWER_KEY, REQUEST_KEY, ROUTE_KEY
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
    for fault in ("must_go_on", "moment"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(known, f"_{fault}", out_of_order)
            assert known.answer(b"a", None) is None
            known.keep(asked(b"b", b""), state)
    assert known.answer(b"a", None)


def out_of_order() -> AbstractContextManager[int]:
    """A database that does not answer."""
    raise OperationalError("away")


class Recognizes:
    """Credentials that are always good."""

    def again(self, scope: Scope) -> Again:
        """Whoever it was."""
        return lambda: scope["user"]


def memory(bytes_max: int) -> tuple[KnownAnswers, int]:
    """A memory over a database that stays as it is, and its state."""
    state = 7
    known = KnownAnswers(
        lambda: nullcontext(state),
        lambda: None,
        Authentication(),
        Clients(),
        RequestLog(lambda *_, **__: None),
        lambda: 0,
        bytes_max,
    )
    return known, state


def asked(name: bytes, body: bytes) -> Scope:
    """The scope of a request that was answered."""
    return {
        REQUEST_KEY: name,
        ANSWER_KEY: SentAnswer(200, b"", body),
        ROUTE_KEY: "/",
        ADMITTED_BY_KEY: Recognizes(),
        "user": Identity("ada", "viewer"),
        "raw_path": b"/",
        "headers": [],
    }
