"""The writer: commands share commits, and each still has a fate of its own."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import orjson
import psycopg
import pytest

from domain.aggregates.cluster import Created
from domain.aggregates.host import Registration
from domain.commands import fleet_commands
from domain.event import Recorded
from domain.log import recorder
from domain.log import unit as units
from domain.log.engine import OperationalError
from domain.log.engines.sqlite import SCRUB_TIMEOUT_S, SQLiteEngine
from domain.log.mapper import to_stored
from domain.log.recorder import LogRecorder
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from projections import clusters
from projections.rebuilding.live_tables import LiveTables
from tests.domain.log.test_append_only import event
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done

SOME = 50


def create(unit: Unit, name: str) -> str:
    """A cluster."""
    fleet_commands.create_cluster(unit, name, "default", "")
    return name


def stumble(unit: Unit) -> None:
    """A command with a defect, which shows after it emitted an event."""
    create(unit, "half")
    raise ValueError("a defect")


def names(store: Store) -> list[str]:
    """Clusters that the read model knows."""
    with store.engine.snapshot() as tx:
        return [row[0] for row in tx.execute("SELECT name FROM clusters ORDER BY name").fetchall()]


def queue(writer: Writer, commands: Sequence[Callable[[Unit], Any]]) -> list["Future[Any]"]:
    """Queue commands behind one that waits until all are queued, so that they share a commit."""
    go = threading.Event()
    first = writer.submit(ACT, lambda unit: go.wait(WAIT_TIMEOUT_S))
    futures = [writer.submit(ACT, command) for command in commands]
    go.set()
    first.result(WAIT_TIMEOUT_S)
    return futures


def creating(name: str) -> Callable[[Unit], str]:
    """A command."""
    return lambda unit: create(unit, name)


async def test_64_clients_at_once_share_commits_and_each_reads_what_it_wrote(store: Store) -> None:
    batches: list[int] = []
    with store.writer(on_commit=lambda _, recorded: batches.append(len(recorded))) as writer:
        answers = await asyncio.gather(
            *(writer.perform(ACT, creating(f"c{n}"), clusters.cluster) for n in range(64))
        )
    assert [orjson.loads(answer.body)["name"] for answer in answers] == [f"c{n}" for n in range(64)]
    assert sum(batches) == 64
    assert len(batches) <= 8
    store.must_be_consistent()


def test_followers_are_told_where_each_batch_goes_on(store: Store) -> None:
    told: list[tuple[int, Sequence[Recorded]]] = []
    with store.writer(on_commit=lambda *batch: told.append(batch)) as writer:
        for n in range(5):
            done(writer, create, f"c{n}")
        LogRecorder(store.engine).insert_events([])
    ends = [recorded[-1].position for _, recorded in told]
    assert [previous for previous, _ in told] == [0, *ends[:-1]]


def test_a_refused_command_does_not_fail_its_neighbours(store: Store) -> None:
    with store.writer() as writer:
        done(writer, create, "web")
        good, bad, after = queue(
            writer,
            [
                creating("a"),
                lambda unit: fleet_commands.leave(unit, "nowhere", "10.0.0.1"),
                creating("b"),
            ],
        )
        assert (good.result(1), after.result(1)) == ("a", "b")
        assert isinstance(bad.exception(1), Refusal)
    assert names(store) == ["a", "b", "web"]


def test_what_a_command_emitted_before_it_was_refused_never_happened(store: Store) -> None:
    def refused(unit: Unit) -> None:
        create(unit, "half")
        unit.write_beside(lambda tx: pytest.fail("a refused command wrote"))
        fleet_commands.leave(unit, "nowhere", "10.0.0.1")

    with store.writer() as writer:
        first, second, third = queue(writer, [refused, creating("half"), refused])
        assert isinstance(first.exception(1), Refusal)
        assert second.result(1) == "half"
        assert isinstance(third.exception(1), Refusal)
    assert store.topics() == ["cluster.created"]


def test_a_command_with_a_defect_fails_alone(store: Store) -> None:
    with store.writer() as writer:
        good, bad, after = queue(writer, [creating("a"), stumble, creating("b")])
        assert (good.result(1), after.result(1)) == ("a", "b")
        assert isinstance(bad.exception(1), ValueError)
        assert done(writer, create, "half") == "half"
    assert store.topics() == ["cluster.created"] * 3
    store.must_be_consistent()


def test_a_defect_that_no_future_takes_still_reaches_whoever_waits(store: Store) -> None:
    def stop_iteration(unit: Unit) -> None:
        next(iter(()))

    async def ask() -> None:
        await writer.perform(ACT, stop_iteration)

    with store.writer() as writer, pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(asyncio.wait_for(ask(), WAIT_TIMEOUT_S))


class Poisoned(LiveTables):
    """Read models that cannot take one event."""

    def project(self, tx: Transaction, events: Sequence[Recorded]) -> None:
        """Project, and stumble over the cluster `poison` when all is written."""
        super().project(tx, events)
        if any(getattr(recorded.event, "name", "") == "poison" for recorded in events):
            raise LookupError("a defect of a projection")


def test_an_append_whose_projection_fails_leaves_nothing_and_others_go_on(store: Store) -> None:
    with store.writer(models=Poisoned(store.models.projections)) as writer:
        good, bad, after = queue(writer, [creating("a"), creating("poison"), creating("b")])
        assert (good.result(1), after.result(1)) == ("a", "b")
        assert isinstance(bad.exception(1), LookupError)
    assert names(store) == ["a", "b"]
    assert len(store.topics()) == 2
    store.must_be_consistent()


@pytest.mark.parametrize("where", ["answer", "write"])
def test_a_defect_after_the_decision_leaves_nothing_either(store: Store, where: str) -> None:
    def stumble_later(tx: Transaction, result: object = None) -> None:
        tx.execute("SELECT no_such_column FROM clusters")

    def command(unit: Unit) -> None:
        create(unit, "half")
        if where == "write":
            unit.write_beside(stumble_later)

    answer = stumble_later if where == "answer" else lambda tx, result: result
    with store.writer() as writer:
        outcome = writer.submit(ACT, command, answer).exception(WAIT_TIMEOUT_S)
        assert outcome is not None
        assert done(writer, create, "a") == "a"
    assert names(store) == ["a"]


def test_a_write_beside_the_log_is_stored_with_its_command(store: Store) -> None:
    def beat(tx: Transaction) -> None:
        tx.execute("INSERT INTO heartbeats VALUES (?, ?)", ("a", "now"))

    def command(unit: Unit) -> None:
        unit.write_beside(beat)

    with store.writer() as writer:
        done(writer, command)
    with store.another_engine().snapshot() as tx:
        assert tx.execute("SELECT * FROM heartbeats").fetchall() == [("a", "now")]


def test_what_is_durable_is_not_done_again_though_whoever_follows_has_a_defect(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
        raise BrokenPipeError("the log lines have nowhere to go")

    def read(unit: Unit) -> None:
        unit.host("10.0.0.1").read_credentials()

    with store.writer(on_commit=on_commit) as writer:
        done(writer, lambda unit: unit.host("10.0.0.1").register(Registration("root", 22), "x"))
        futures = queue(writer, [read, read])
        assert [future.result(1) for future in futures] == [None, None]
    assert store.topics() == ["host.registered"] + ["host.credentials_read"] * 2
    assert "was not told" in caplog.text


def test_a_loop_that_is_closed_before_its_answer_does_not_have_its_command_repeated(
    store: Store,
) -> None:
    go = threading.Event()

    def wait_and_read(unit: Unit) -> None:
        go.wait(WAIT_TIMEOUT_S)
        unit.host("10.0.0.1").register(Registration("root", 22), "x")
        unit.host("10.0.0.1").read_credentials()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.perform(ACT, wait_and_read), 0.05)

    with store.writer() as writer:
        asyncio.run(give_up())
        go.set()
        assert done(writer, create, "a") == "a"
    assert store.topics() == ["host.registered", "host.credentials_read", "cluster.created"]


def test_what_is_queued_cannot_be_called_back(store: Store) -> None:
    go = threading.Event()
    with store.writer() as writer:
        first = writer.submit(ACT, lambda unit: go.wait(WAIT_TIMEOUT_S))
        second = writer.submit(ACT, creating("a"))
        assert not second.cancel()
        go.set()
        assert first.result(WAIT_TIMEOUT_S)
        assert second.result(WAIT_TIMEOUT_S) == "a"


def test_stopping_carries_out_what_is_queued_and_takes_no_more(store: Store) -> None:
    with store.writer() as writer:
        futures = [writer.submit(ACT, creating(f"c{n}")) for n in range(300)]
    assert [future.result(0) for future in futures] == [f"c{n}" for n in range(300)]
    assert len(names(store)) == 300
    with pytest.raises(Refusal) as refused:
        writer.submit(ACT, creating("late"))
    assert refused.value.kind == "unavailable"


def test_a_lock_that_is_held_too_long_is_unavailable_and_nothing_is_stored(store: Store) -> None:
    other = store.another_engine()
    with store.writer(timeout_s=0.3) as writer, other.append(1):
        begun = time.monotonic()
        futures = [writer.submit(ACT, creating(name)) for name in "ab"]
        for future in futures:
            refusal = future.exception(WAIT_TIMEOUT_S)
            assert isinstance(refusal, Refusal)
            assert refusal.kind == "unavailable"
            assert "busy" in refusal.sentence
        assert time.monotonic() - begun < 5
        assert futures[0].exception() is not futures[1].exception()
    assert store.topics() == []


def test_contention_that_ends_in_time_is_waited_for(store: Store) -> None:
    other = store.another_engine()
    with store.writer() as writer:
        with other.append(1):
            future = writer.submit(ACT, creating("a"))
            with pytest.raises(TimeoutError):
                future.result(0.2)
        assert future.result(WAIT_TIMEOUT_S) == "a"


def test_what_another_process_appended_is_noticed_before_the_next_decision(store: Store) -> None:
    with store.writer() as one, store.writer(store.another_engine()) as two:
        done(one, create, "web")
        done(two, fleet_commands.remove_cluster, "web")
        with pytest.raises(Refusal):
            done(one, fleet_commands.remove_cluster, "web")
        done(one, create, "web")
        done(two, create, "web")
        done(two, create, "db")
        done(one, create, "db")
    assert store.topics() == [
        "cluster.created", "cluster.removed", "cluster.created", "cluster.created",
    ]  # fmt: skip
    store.must_be_consistent()


def test_events_that_were_inserted_unprojected_are_not_jumped_over(store: Store) -> None:
    with store.writer() as writer:
        done(writer, create, "web")
        registered = b'{"address":"a","remote_user":"root","ssh_port":22,"key_fingerprint":"x"'
        meta = b',"source":"","at":"","actor":"","correlation":""}'
        stored = event("a", 1, registered + meta)
        LogRecorder(store.engine).insert_events(
            [type(stored)("host/a", 1, "host.registered", registered + meta)]
        )
        done(writer, create, "db")
    store.must_be_consistent()


def test_a_command_may_use_more_aggregates_than_stay_in_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "AGGREGATES_MAX", 3)

    def command(unit: Unit) -> None:
        for name in "abcdefgh":
            create(unit, name)
        for name in "abcdefgh":
            unit.cluster(name).add("10.0.0.1")
            create(unit, name)

    with store.writer() as writer:
        done(writer, command)
        done(writer, command)
    assert store.topics() == ["cluster.created"] * 8 + ["cluster.host_joined"] * 8


class Breaking:
    """An engine whose first transactions break in the middle."""

    def __init__(self, engine: Any, breaks: int) -> None:
        self._engine, self.breaks = engine, breaks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def append(self, lock_timeout_s: float) -> Any:
        """Break while there are breaks left."""
        if self.breaks:
            self.breaks -= 1
            raise OperationalError("the connection broke")
        return self._engine.append(lock_timeout_s)


def test_a_database_that_is_away_for_a_moment_is_not_noticed(store: Store) -> None:
    engine: Any = Breaking(store.engine, 3)
    with store.writer(engine) as writer:
        assert done(writer, create, "a") == "a"
    assert store.topics() == ["cluster.created"]


def test_those_that_queue_behind_a_database_that_is_away_are_answered_in_time_too(
    store: Store,
) -> None:
    engine: Any = Breaking(store.engine, 1_000_000)
    begun = time.monotonic()
    with store.writer(engine, timeout_s=0.5) as writer:
        futures = [writer.submit(ACT, creating(f"c{n}")) for n in range(1000)]
        for future in futures:
            refusal = future.exception(WAIT_TIMEOUT_S)
            assert isinstance(refusal, Refusal)
            assert refusal.kind == "unavailable"
        assert time.monotonic() - begun < 20, "not each after the one before: that is 500 s"
        engine.breaks = 0
        assert done(writer, create, "back") == "back"
    assert names(store) == ["back"]


def test_a_long_read_does_not_let_a_scrub_hold_up_the_commands_after_it(
    sqlite_store: Store,
) -> None:
    scrubbed = threading.Event()

    class Watched(SQLiteEngine):
        """Says when it is done."""

        def scrub(self) -> None:
            """As ever."""
            super().scrub()
            scrubbed.set()

    def destroy(unit: Unit) -> None:
        unit.write_beside(lambda tx: None, scrub=True)

    engine = Watched(sqlite_store.path)
    with sqlite_store.writer(engine) as writer:
        done(writer, create, "a")
        with sqlite_store.engine.snapshot() as tx:
            assert tx.execute("SELECT count(*) FROM clusters").fetchone() == (1,)
            done(writer, create, "b")  # what the reader does not see keeps the WAL from going
            done(writer, destroy)
            begun = time.monotonic()
            for n in range(SOME):
                done(writer, create, f"c{n}")
            assert time.monotonic() - begun < SOME * SCRUB_TIMEOUT_S / 3, "no scrub at each of them"
            assert not scrubbed.is_set()
        assert scrubbed.wait(WAIT_TIMEOUT_S)
        assert sqlite_store.path.with_name("commissaire.db-wal").stat().st_size == 0
    engine.close()


def test_a_decision_is_as_of_the_lock_whatever_isolation_the_database_is_set_to(
    postgres_store: Store,
) -> None:
    with psycopg.connect(postgres_store.url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN EXECUTE format("
            "'ALTER DATABASE %I SET default_transaction_isolation = %L',"
            " current_database(), 'serializable'); END $$"
        )
    one, two = postgres_store.another_engine(), postgres_store.another_engine()
    with postgres_store.writer(two) as writer:
        with one.append(1) as appending:
            future = writer.submit(ACT, creating("web"))
            with pytest.raises(TimeoutError):
                future.result(0.2)  # it waits for the lock
            stored = to_stored(
                Created("web", "default", "", originator_id="cluster/web", originator_version=1)
            )
            recorder.insert(appending.tx, appending.head, [stored])
            appending.commit()
        assert future.result(WAIT_TIMEOUT_S) == "web"
    assert postgres_store.topics() == ["cluster.created"]
