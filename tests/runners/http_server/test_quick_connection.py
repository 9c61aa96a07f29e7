"""Which connections answer from memory, as the settings and the database have it."""

from types import SimpleNamespace
from typing import cast

import pytest

from projections.reads import Reads, SQLiteReads
from runners.service.known_answers import known_answers
from runners.service.storage import Storage
from runners.settings.settings import Settings
from web.authentication.authentication import Authentication
from web.events.live_window import EventWindow
from web.known_answers import KnownAnswers
from web.request_log import RequestLog


@pytest.mark.parametrize(
    ("kept_bytes", "kind", "is_kept"),
    [(1024, SQLiteReads, True), (0, SQLiteReads, False), (1024, Reads, False)],
)
def test_answers_are_kept_as_the_settings_say_and_only_of_sqlite(
    kept_bytes: int, kind: type, is_kept: bool
) -> None:
    reads = kind.__new__(kind) if kind is SQLiteReads else SimpleNamespace()
    storage = SimpleNamespace(log_reads=reads, live_tables=SimpleNamespace(must_go_on=lambda: None))
    known = known_answers(
        Settings(known_answers_bytes=kept_bytes),
        cast(Storage, storage),
        Authentication(),
        RequestLog(lambda *_, **__: None),
        EventWindow(),
    )
    assert isinstance(known, KnownAnswers) == is_kept
