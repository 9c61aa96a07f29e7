"""Writers and listeners on two processes, while the primary dies, is frozen, or changes places."""

import signal
import threading
from base64 import b64decode
from pathlib import Path

import pytest

from tests.end_to_end.processes.several import several
from tests.high_availability.pair import Pair
from tests.high_availability.traffic import (
    Traffic,
    lost,
    must_be_told_of_all,
    must_be_well,
    streams_must_be_whole,
    went_back,
)
from tests.support.service import wait_for

pytestmark = pytest.mark.proof

FLAGS = ("--no-runners", "--command-timeout-s", "10", "--no-log-requests")
AFTER = 60
"""So many changes are answered after it."""


@pytest.mark.parametrize("count", [40, 300])
def test_an_asynchronous_failover_loses_what_is_said_to_be_lost_and_nothing_else(
    pair: Pair, tmp_path: Path, count: int
) -> None:
    with several(2, tmp_path, [pair.url] * 2, *FLAGS) as services:
        with Traffic(services) as traffic:
            with pair.standby_misses():
                traffic.go_on(count)
            pair.fail_over()
            traffic.go_on(AFTER)
        assert len(must_be_told_of_all(traffic)) >= count
        assert all(listener.was_told for listener in traffic.listeners)
        streams_must_be_whole(traffic)
        must_be_well(*services)


def test_a_synchronous_failover_loses_nothing_that_was_answered(pair: Pair, tmp_path: Path) -> None:
    pair.be_synchronous()
    with several(2, tmp_path, [pair.url] * 2, *FLAGS) as services:
        with Traffic(services) as traffic:
            traffic.go_on(AFTER)
            pair.fail_over()
            traffic.go_on(AFTER)
        nothing_is_lost(traffic)
        must_be_well(*services)


def test_a_planned_switchover_and_the_way_back_lose_nothing(pair: Pair, tmp_path: Path) -> None:
    with several(2, tmp_path, [pair.url] * 2, *FLAGS) as services:
        with Traffic(services) as traffic:
            pair.switch_over()
            traffic.go_on(AFTER)
            pair.first.follow(pair.second)
            pair.second.stop("fast")  # sends all that it has to whoever follows
            pair.first.promote()
            traffic.go_on(AFTER)
        nothing_is_lost(traffic)
        must_be_well(*services)


@pytest.mark.parametrize("seconds", [3, 15, 60])
def test_a_primary_that_is_frozen_for_a_while_loses_nothing(
    pair: Pair, tmp_path: Path, seconds: int
) -> None:
    with several(2, tmp_path, [pair.url] * 2, *FLAGS) as services:
        with Traffic(services) as traffic:
            pair.first.send(signal.SIGSTOP)
            threading.Event().wait(seconds)  # this is the fault, not a wait for anything
            if seconds > 10:
                assert traffic.refused > 0
            pair.first.send(signal.SIGCONT)
            traffic.go_on(AFTER)
        nothing_is_lost(traffic)
        must_be_well(*services)


def test_changes_that_the_old_primary_answered_beside_the_new_one_are_listed(
    pair: Pair, tmp_path: Path
) -> None:
    alone = pair.second.url(pair.database)
    with several(1, tmp_path / "old", [pair.url], *FLAGS) as (old,):
        assert old.client.put("/cluster/kept").status_code == 201
        pair.wait_for_standby()
        key = b64decode(old.environment()["COMMISSAIRE_MASTER_KEY"])
        pair.second.promote()  # while the first is still there
        assert old.client.put("/cluster/old").status_code == 201
        assert old.client.delete("/cluster/kept").status_code == 200
        with several(1, tmp_path / "new", [alone], *FLAGS, key=key) as (new,):
            assert new.client.put("/cluster/new").status_code == 201
            pair.first.stop("immediate")
            wait_for(lambda: old.client.put("/cluster/after").status_code == 201)
            gone = {("cluster.created", "cluster/old"), ("cluster.removed", "cluster/kept")}
            assert lost(old) == gone
            (event,) = went_back(new)
            told = {tuple(change.split()[1:3]) for change in event["changes"]}
            assert told == gone
            for service in (old, new):
                assert service.client.get("/clusters").json() == ["after", "kept", "new"]
            must_be_well(old, new)


def test_a_frozen_primary_that_wakes_up_after_its_standby_was_promoted_gets_nothing(
    pair: Pair, tmp_path: Path
) -> None:
    with several(1, tmp_path, [pair.url], *FLAGS) as (service,):
        assert service.client.put("/cluster/kept").status_code == 201
        pair.wait_for_standby()
        pair.first.send(signal.SIGSTOP)
        pair.second.promote()
        wait_for(lambda: service.client.put("/cluster/new").status_code == 201)
        pair.first.send(signal.SIGCONT)
        answers = [service.client.put(f"/cluster/after{n}") for n in range(20)]
        assert all(a.status_code == 201 or "Nothing is written" in a.text for a in answers)
        pair.first.stop("immediate")
        wait_for(lambda: service.client.put("/cluster/end").status_code == 201)
        assert went_back(service) == []
        taken = {f"after{n}" for n, answer in enumerate(answers) if answer.status_code == 201}
        assert set(service.client.get("/clusters").json()) == {"kept", "new", "end"} | taken
        must_be_well(service)


def nothing_is_lost(traffic: Traffic) -> None:
    """And nobody says that anything is."""
    assert must_be_told_of_all(traffic) == set()
    assert went_back(traffic.services[0]) == []
    streams_must_be_whole(traffic)
