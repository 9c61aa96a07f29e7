"""The course of the fleet says what the read model says, read in one go or in pieces."""

from contextlib import suppress

import pytest

from domain.log import recorder
from domain.log.engine import OperationalError, Place
from domain.log.transaction import Transaction
from projections.fleet.facets import facets
from projections.fleet.matching import HostFilter
from projections.past import course
from projections.past.course import STATUSES, Course
from projections.past.past import FLEET, Scratch, advance
from tests.projections.histories import carry_out, random_history
from tests.support.stores import Store


@pytest.mark.parametrize("seed", range(3))
def test_the_course_has_as_many_hosts_of_each_status_as_the_fleet_had(
    store: Store, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(seed, 150))
    monkeypatch.setattr(course, "READ_POSITIONS", 7)
    told, more = Course(), True
    while more:
        with store.engine.snapshot() as tx:
            more = told.read_on(tx)
        scratch = Scratch(FLEET)
        advance(store.engine, scratch, told.place.position)
        found = facets(scratch.tx, HostFilter())["status"]
        scratch.close()
        assert told.now == tuple(found.get(status, 0) for status in STATUSES)
    assert told.points[-1].counts == told.now
    assert told.failures


def test_a_gap_and_a_piece_that_could_not_be_read_change_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(2, 60))
    with store.engine.append(20) as appending:
        recorder.skip(appending.tx, 1_000)
        appending.commit()
    carry_out(store, random_history(3, 60))
    monkeypatch.setattr(course, "READ_POSITIONS", 50)
    told, whole, place = Course(), Course(), recorder.place
    with store.engine.snapshot() as tx:
        for number in range(200):
            monkeypatch.setattr(recorder, "place", broken if number % 2 else place)
            with suppress(OperationalError):
                if not told.read_on(tx):
                    break
        monkeypatch.setattr(recorder, "place", place)
        monkeypatch.setattr(course, "READ_POSITIONS", 1_000_000)
        assert not whole.read_on(tx)
    assert (told.points, told.failures, told.now) == (whole.points, whole.failures, whole.now)


def broken(tx: Transaction, position: int) -> Place:
    raise OperationalError("the connection broke")


def test_of_a_long_log_fewer_points_are_kept_and_no_failure_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(5, 300))
    every, some = Course(), Course()
    with store.engine.snapshot() as tx:
        every.read_on(tx)
        monkeypatch.setattr(course, "POINTS_MAX", 8)
        some.read_on(tx)
    assert len(every.points) > 16
    assert len(some.points) <= 8
    assert len(some.failures) <= 8
    assert set(some.points) <= set(every.points)
    assert sum(each.hosts for each in some.failures) == sum(each.hosts for each in every.failures)
    assert some.now == every.now
