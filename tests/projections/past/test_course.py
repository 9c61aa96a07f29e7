"""The course of the fleet says what the read model says, read in one go or in pieces."""

import pytest

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
