"""The tools of the package `eventsourcing` on our log, on both engines."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from eventsourcing.persistence import OperationalError, ProgrammingError
from eventsourcing.projection import ApplicationSubscription

from domain.aggregates.host import Registration
from domain.event import Act, Event
from domain.log import subscription
from domain.log.application import application_of
from domain.log.engine import OtherLog
from domain.log.recorder import LogRecorder
from domain.log.unit import Unit
from tests.docs.documents import EXAMPLES
from tests.domain.log.writing import create
from tests.runners.cli.test_history_command import options
from tests.support.service import wait_for
from tests.support.stores import WAIT_TIMEOUT_S, Store, done

EXAMPLE = EXAMPLES / "own_read_model.py"
ROUNDS = 3
FAILURES = 30


def test_the_event_store_and_the_notification_log_have_what_is_in_the_log(store: Store) -> None:
    with store.writer() as writer:
        for name in "ab":
            done(writer, create, name)
    application = application_of(store.engine)()
    (created,) = application.events.get("cluster/a")
    assert isinstance(created, Event)
    assert (created.TOPIC, created.originator_id) == ("cluster.created", "cluster/a")
    section = application.notification_log["1,10"]
    assert [item.topic for item in section.items] == store.topics()
    application.close()


def test_a_subscription_goes_on_with_what_happens_and_ends_when_it_is_told_to(store: Store) -> None:
    application = application_of(store.engine)()
    told: list[tuple[str, int]] = []
    with store.writer() as writer, ApplicationSubscription(application) as listening:

        def listen() -> None:
            for event, tracking in listening:
                told.append((str(event.originator_id), tracking.notification_id))

        listener = threading.Thread(target=listen)
        listener.start()
        for name in "abc":
            done(writer, create, name)
        wait_for(lambda: len(told) == 3)
        listening.stop()
        listener.join(WAIT_TIMEOUT_S)
        assert not listener.is_alive()
    assert [name for name, _ in told] == ["cluster/a", "cluster/b", "cluster/c"]
    after = told[0][1]
    with LogRecorder(store.engine).subscribe(gt=after, topics=["cluster.created"]) as later:
        assert [each.id for each in islice(later, 2)] == [position for _, position in told[1:]]
    application.close()


def test_a_log_that_ends_before_what_was_told_is_an_error(store: Store) -> None:
    with LogRecorder(store.engine).subscribe(gt=9) as late, pytest.raises(ProgrammingError):
        next(late)


def test_a_database_that_is_away_for_a_moment_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "PAUSES_S", (0.01, 0.02))
    with store.writer() as writer:
        done(writer, create, "a")
    away = iter([OperationalError("the connection broke")] * 3)

    class Away(LogRecorder):
        def max_notification_id(self) -> int | None:
            """Breaks three times."""
            if broken := next(away, None):
                raise broken
            return super().max_notification_id()

    with Away(store.engine).subscribe() as listening:
        assert next(listening).originator_id == "cluster/a"
    assert next(away, None) is None


def test_what_takes_a_person_is_an_error_and_not_waited_for(store: Store) -> None:
    class Other(LogRecorder):
        def max_notification_id(self) -> int | None:
            """Is another log."""
            raise OtherLog("it is another one")

    with Other(store.engine).subscribe() as listening, pytest.raises(OtherLog):
        next(listening)


def fail_hosts(store: Store, network: int, count: int) -> None:
    """So many hosts fail, once each."""

    def fail(unit: Unit, address: str) -> None:
        unit.host(address).register(Registration("root", 22), "SHA256:x")
        unit.host(address).fail("unreachable", "Off.")

    with store.writer() as writer:
        act = Act("runner:x", "1", "2026-01-01T03:04:05.000006")
        for number in range(count):
            job = partial(fail, address=f"10.0.{network}.{number}")
            writer.submit(act, job).result(WAIT_TIMEOUT_S)


def counted(file: Path) -> list[tuple[str, str, int]]:
    """The table of the example."""
    with closing(sqlite3.connect(file)) as table:
        try:
            return table.execute("SELECT * FROM failures ORDER BY host").fetchall()
        except sqlite3.OperationalError:  # not yet
            return []


def has_more(file: Path, than: int) -> bool:
    return len(counted(file)) > than


def test_the_example_counts_each_failure_once_over_kill_9(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "failures.db"
    command = [sys.executable, str(EXAMPLE), *options(store), str(file)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for network in range(ROUNDS):
        with subprocess.Popen(command, env=environment) as example:
            try:
                fail_hosts(store, network, FAILURES)
                wait_for(partial(has_more, file, network * FAILURES))
            finally:
                example.kill()
    with subprocess.Popen(command, env=environment) as example:
        try:
            wait_for(lambda: len(counted(file)) == ROUNDS * FAILURES)
        finally:
            example.kill()
    assert {(week, times) for week, _, times in counted(file)} == {("2026-W01", 1)}
