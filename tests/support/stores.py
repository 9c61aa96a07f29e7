"""A database with the log and the read models in it, on either engine, and writers to it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.event import Act, Recorded
from domain.log.clock import LogClock
from domain.log.engine import Engine
from domain.log.engines.postgres import PostgresEngine
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.recorder import LogRecorder, entries
from domain.log.writer import Writer
from projections.all import PROJECTIONS, beside_the_log
from projections.rebuilding.live_tables import LiveTables
from projections.rebuilding.verification import verify

ACT = Act("alice", "request-1", "2026-01-02T03:04:05.000006")
WAIT_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 10.0


class Store:
    """One database. Every engine that is opened here is closed at the end."""

    def __init__(self, url: str, opened: ExitStack) -> None:
        self.url = url
        self.models = LiveTables(PROJECTIONS)
        self._opened = opened
        self.engine = self.another_engine()

    @property
    def path(self) -> Path:
        """The file, where the engine is SQLite."""
        return Path(self.url.removeprefix("sqlite:///"))

    def another_engine(self, url: str | None = None) -> Engine:
        """A second way in, as another process has it."""
        engine = open_engine(url or self.url)
        self._opened.callback(engine.close)
        return engine

    def create(self) -> "Store":
        """All tables."""
        LogRecorder(self.engine).create_table()
        self.models.create_tables(self.engine)
        self.engine.execute_schema(beside_the_log(self.engine.name))
        return self

    @contextmanager
    def writer(
        self,
        engine: Engine | None = None,
        models: Any = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
        on_commit: Callable[[int, Sequence[Recorded]], None] = lambda previous, recorded: None,
        clock: LogClock | None = None,
    ) -> Iterator[Writer]:
        """A writer that runs; what is queued at the end is carried out."""
        writer = Writer(
            engine or self.engine,
            models or self.models,
            timeout_s=timeout_s,
            on_commit=on_commit,
            clock=clock,
        )
        writer.start()
        try:
            yield writer
        finally:
            writer.stop()

    def topics(self) -> list[str]:
        """What the log says, by topic."""
        with self.engine.snapshot() as tx:
            return [entry.stored.topic for entry in entries(tx, 0, 1_000_000)]

    def must_be_consistent(self) -> None:
        """Every read model is what a rebuild gives."""
        for verdict in verify(self.engine, self.models.projections):
            assert not verdict.wrong, (verdict.name, verdict.wrong)
            assert verdict.live == verdict.rebuilt


def open_engine(url: str) -> Engine:
    """The engine for an address of `database_url`."""
    if url.startswith("sqlite:///"):
        return SQLiteEngine(Path(url.removeprefix("sqlite:///")))
    return PostgresEngine(url)


def done(writer: Writer, command: Callable[..., Any], *args: Any) -> Any:
    """Carry out `command(unit, *args)` and wait for it."""
    return writer.submit(ACT, lambda unit: command(unit, *args)).result(WAIT_TIMEOUT_S)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty store on each engine."""
    with ExitStack() as opened:
        yield Store(database_url, opened).create()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite."""
    with ExitStack() as opened:
        yield Store(f"sqlite:///{tmp_path / 'commissaire.db'}", opened).create()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    """An empty store on PostgreSQL."""
    with ExitStack() as opened:
        yield Store(postgres_url, opened).create()
