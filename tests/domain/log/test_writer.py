"""The writer: commands share commits, and each still has a fate of its own."""

import asyncio
import threading
from collections.abc import Sequence

import orjson
import pytest

from domain.aggregates.host import Registration
from domain.commands import fleet_commands
from domain.event import Recorded
from domain.log.recorder import LogRecorder
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.refusal import Refusal
from projections import clusters
from projections.rebuilding.live_tables import LiveTables
from tests.domain.log.writing import create, creating, names, queue, stumble
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done


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
