"""A clock that was ahead hides nothing from whoever asks about a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import orjson
import pytest

from domain.aggregates.operation import OperationRequest
from domain.aggregates.rolling_policy import Options
from domain.commands import fleet_commands, operation_commands
from domain.event import Act
from domain.log import recorder
from domain.log.clock import SETTLED_S, LogClock
from domain.log.reading import as_of, search
from domain.log.reading.search import Filter
from domain.log.writer import Writer
from projections import clusters, operation_reads
from projections.past.past import Past, place
from runners.cli.log.check import check
from tests.domain.memory_unit import MemorySecrets
from tests.faults.models.population import become_active
from tests.support.stores import WAIT_TIMEOUT_S, Store, done

TODAY, LATER, TOMORROW = (f"2026-11-{day}T10:00:00.000000" for day in (25, 26, 27))
YEARS_AHEAD = "2031-03-01T10:00:00.000000"
UNSET = "1970-01-01T00:00:09.000000"
BYTES = 1_000_000


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time, self.passed_s = TODAY, 0.0

    def now(self) -> str:
        return self.time

    def monotonic(self) -> float:
        return self.passed_s

    @contextmanager
    def writer(self, store: Store) -> Iterator[Writer]:
        with (
            pytest.MonkeyPatch.context() as patched,
            store.writer(clock=LogClock(self.now, self.monotonic)) as writer,
        ):
            patched.setattr(recorder, "now", self.now)
            yield writer


def create(writer: Writer, name: str) -> None:
    """An event."""
    done(writer, fleet_commands.create_cluster, name, "default", "")


def stamped_ahead(store: Store) -> Clock:
    """One cluster of today, one of years ahead, two after the clock was mended."""
    clock = Clock()
    with clock.writer(store) as writer:
        create(writer, "first")
        clock.time = YEARS_AHEAD
        create(writer, "ahead")
        clock.time = LATER
        create(writer, "not-sure-yet")
        clock.passed_s += SETTLED_S
        create(writer, "mended")
        clock.time = TOMORROW
        create(writer, "last")
    return clock


def known_at(store: Store, clock: Clock, moment: str) -> list[str]:
    """Which clusters there were."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recorder, "now", clock.now)
        up_to = place(store.engine, moment, clock.now).position
    past = Past(store.engine)
    names = ("first", "ahead", "not-sure-yet", "mended", "last")
    return [name for name in names if past.cluster(up_to, clusters.cluster, name) is not None]


def test_the_times_of_a_log_begin_anew_again_and_again(store: Store) -> None:
    clock = stamped_ahead(store)
    with clock.writer(store) as writer:
        for number in range(3):
            clock.time = f"20{40 - number}-01-01T00:00:00.000000"
            create(writer, f"ahead-{number}")
            clock.time = f"2026-11-28T1{number}:00:00.000000"
            create(writer, f"unsure-{number}")
            clock.passed_s += SETTLED_S
            create(writer, f"mended-{number}")
    assert store.topics().count("log.clock_set_back") == 4
    past = Past(store.engine)
    for number in range(3):
        with store.engine.snapshot() as tx:
            up_to = as_of.by(tx, f"2026-11-28T1{number}:30:00.000000").position
        assert past.cluster(up_to, clusters.cluster, f"mended-{number}") is not None
        assert past.cluster(up_to, clusters.cluster, f"ahead-{number + 1}") is None


def test_what_was_stamped_ahead_does_not_hide_what_came_later(store: Store) -> None:
    clock = stamped_ahead(store)
    assert known_at(store, clock, TODAY) == ["first"]
    assert known_at(store, clock, "2026-11-26T09:00:00.000000") == ["first"]
    assert known_at(store, clock, LATER) == ["first", "ahead", "not-sure-yet", "mended"]
    assert known_at(store, clock, TOMORROW) == ["first", "ahead", "not-sure-yet", "mended", "last"]


def test_a_later_time_never_gives_an_earlier_position(store: Store) -> None:
    stamped_ahead(store)
    dates = product((1969, 2026, 2027, 2031, 2032), (1, 3, 11), (1, 25, 26, 27))
    moments = [f"{year}-{month:02}-{day:02}T10:00:00.000000" for year, month, day in dates]
    for before in (False, True):
        with store.engine.snapshot() as tx:
            heads = [as_of.by(tx, moment, before=before) for moment in sorted(moments)]
        assert [head.position for head in heads] == sorted(head.position for head in heads)
        assert heads[0].position == 0
        with store.engine.snapshot() as tx:
            assert heads[-1] == recorder.head(tx)


def test_an_operation_that_the_clock_was_set_back_in_does_not_end_before_it_began(
    store: Store,
) -> None:
    clock = Clock()
    clock.time = YEARS_AHEAD
    wanted = OperationRequest("upgrade", "web", "", Options())
    with clock.writer(store) as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
        done(writer, become_active, MemorySecrets(), "10.0.0.1", "web")

        def do(command: Callable[..., object], *args: object) -> None:
            act = Act("alice", "test", clock.time)
            writer.submit(act, lambda unit: command(unit, "one", *args)).result(WAIT_TIMEOUT_S)

        do(operation_commands.start, wanted)
        do(operation_commands.advance)
        clock.time = TODAY
        create(writer, "not-sure-yet")
        clock.passed_s += SETTLED_S
        create(writer, "mended")
        do(operation_commands.fail_host, "10.0.0.1", "upgrade", "why", {})
    with store.engine.snapshot() as tx:
        answer = operation_reads.operation(tx, "one")
    assert answer is not None
    record = orjson.loads(answer.body)
    assert record["status"] == "failed"
    for of_either in (record, record["hosts"][0]):
        assert of_either["finished_at"] == of_either["started_at"] == YEARS_AHEAD


def test_the_log_says_that_the_clock_was_set_back_once_and_is_whole(store: Store) -> None:
    stamped_ahead(store)
    assert store.topics().count("log.clock_set_back") == 1
    store.must_be_consistent()
    assert not check(store.engine).wrong
    with store.engine.snapshot() as tx:
        since, until = (
            search.page(tx, which, 0, 100, BYTES).entries
            for which in (Filter(since=LATER), Filter(until="2026-11-26T09:00:00.000000"))
        )
    assert {entry.recorded_at for entry in since} == {YEARS_AHEAD, LATER, TOMORROW}
    assert {entry.recorded_at for entry in until} == {TODAY}


@pytest.mark.parametrize("wrong", [UNSET, "2026-11-25T09:30:00.000000"])
def test_a_clock_that_nobody_set_and_a_small_step_back_begin_nothing_anew(
    store: Store, wrong: str
) -> None:
    clock = Clock()
    with clock.writer(store) as writer:
        create(writer, "first")
        clock.time = wrong
        create(writer, "second")
        clock.passed_s += 2 * SETTLED_S
        create(writer, "third")
    assert "log.clock_set_back" not in store.topics()
