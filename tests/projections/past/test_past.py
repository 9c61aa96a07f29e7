"""`?at=` tells what GET told then: for any history, at every position, on both engines."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engine import Head, Stopped
from domain.log.reading import as_of
from domain.log.recorder import now
from domain.log.transaction import Transaction
from domain.refusal import Refusal
from projections import clusters, hosts
from projections.hosts import Filter
from projections.past import checkpoints
from projections.past.past import NotYet, Past, place
from projections.past.past_reads import Fleets
from runners.database.checkpointer import Checkpointer
from tests.domain.memory_unit import request
from tests.projections.histories import (
    ADDRESSES,
    HISTORIES,
    NAMES,
    SECRETS,
    Command,
    looked_at,
    random_history,
)
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done

FILTERS = [
    Filter(),
    Filter(status="active"),
    Filter(cluster="web"),
    Filter(after="10.0.0.10", limit=2),
    Filter(status="failed", cluster="Web", limit=1),
]
BEAT = """
    INSERT INTO heartbeats (address, last_check) SELECT address, ? FROM hosts WHERE true
    ON CONFLICT (address) DO UPDATE SET last_check = excluded.last_check
"""

Ask = Callable[..., Any]


class Answers(NamedTuple):
    """Everything that can be asked about one moment, and the place of that moment."""

    head: Head
    bodies: dict[str, Any]


def body(found: Any) -> Any:
    """An answer without its validator."""
    return found.body if isinstance(found, hosts.Answer) else found


def everything(ask: Callable[[str, Ask, tuple[Any, ...]], Any]) -> dict[str, Any]:
    """What `ask` answers to every question; it is told which of `Past` or `Fleets` is to tell."""
    found: dict[str, Any] = {"names": ask("fleet", clusters.names, ())}
    for which in FILTERS:
        found[f"hosts {which}"] = ask("fleet", hosts.hosts, (which,))
    for address in ADDRESSES:
        found[f"host {address}"] = body(ask("host", hosts.host, (address,)))
    for name in NAMES:
        found[f"cluster {name}"] = body(ask("cluster", clusters.cluster, (name,)))
        found[f"members {name}"] = body(ask("members", clusters.members, (name,)))
        found[f"member {name}"] = ask("members", clusters.is_member, (name, ADDRESSES[0]))
    return found


def recorded(store: Store, history: Sequence[Command]) -> list[Answers]:
    """What GET answered before a history, and after each command that changed something."""
    answers: list[Answers] = []
    with pytest.MonkeyPatch.context() as patched, store.writer() as writer:
        # So that clusters are removed in stages, and somebody looks meanwhile.
        patched.setattr(fleet_commands, "REMOVAL_BATCH_HOSTS", 1)
        for step in (lambda unit: None, *history):
            refused = writer.submit(ACT, step).exception(WAIT_TIMEOUT_S)
            assert refused is None or isinstance(refused, Refusal)
            with store.engine.snapshot() as tx:
                told = everything(partial(asked_now, tx))
                answers.append(Answers(recorder.head(tx), told))
    return [*{told.head: told for told in answers}.values()]  # what was refused changed nothing


def asked_now(tx: Transaction, _: str, query: Ask, args: tuple[Any, ...]) -> Any:
    """As GET does."""
    return query(tx, *args)


def asked_of_the_past(store: Store, position: int, fleets: Fleets, past: Past) -> dict[str, Any]:
    """The same, at a position."""

    def ask(whom: str, query: Ask, args: tuple[Any, ...]) -> Any:
        if whom == "fleet":
            return fleets.ask(position, query, *args, breathe=lambda: None)
        return getattr(past, whom)(position, query, *args)

    return everything(ask)


def must_tell_the_same(store: Store, answers: Sequence[Answers]) -> None:
    """Ask about every moment, the last first, and hold it against what was answered."""
    fleets, past = Fleets(store.engine), Past(store.engine)
    for told in reversed(answers):
        assert asked_of_the_past(store, told.head.position, fleets, past) == told.bodies


@contextmanager
def checkpoints_every(
    store: Store, events: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Checkpointer]:
    """A maker of checkpoints that lie close together."""
    with monkeypatch.context() as patched, store.writer() as writer:
        patched.setattr(checkpoints, "INTERVAL_EVENTS", events)
        yield Checkpointer(store.engine, writer, now, pause_s=0)


def kept(store: Store) -> list[int]:
    """Where there are checkpoints."""
    with store.engine.snapshot() as tx:
        return [each.position for each in checkpoints.all_of_them(tx)]


@settings(max_examples=20, deadline=None)
@given(HISTORIES, st.integers(2, 40))
def test_at_tells_what_was_answered_for_any_history(history: list[Command], interval: int) -> None:
    with ExitStack() as opened, pytest.MonkeyPatch.context() as monkeypatch:
        directory = Path(opened.enter_context(TemporaryDirectory()))
        store = Store(f"sqlite:///{directory / 'c.db'}", opened).create()
        answers = recorded(store, history)
        must_tell_the_same(store, answers)
        with checkpoints_every(store, interval, monkeypatch) as checkpointer:
            checkpointer.catch_up()
        assert bool(kept(store)) == (answers[-1].head.position >= interval)
        must_tell_the_same(store, answers)


def test_a_member_that_came_back_is_judged_by_what_it_did_since(store: Store) -> None:
    """Registered into a cluster, active, removed, and registered into it again; then swapped."""
    address, other = ADDRESSES[:2]
    answers = recorded(
        store,
        [
            lambda unit: fleet_commands.create_cluster(unit, "web", "default", ""),
            lambda unit: fleet_commands.register_host(unit, SECRETS, other, request("web")),
            *2
            * [
                lambda unit: fleet_commands.register_host(unit, SECRETS, address, request("web")),
                lambda unit: looked_at(unit, address, 4),
                lambda unit: fleet_commands.remove_host(unit, SECRETS, address),
            ],
            lambda unit: fleet_commands.register_host(unit, SECRETS, address, request("web")),
            lambda unit: looked_at(unit, address, 0),
            lambda unit: looked_at(unit, address, 4),
            lambda unit: looked_at(unit, other, 4),
            lambda unit: fleet_commands.replace_members(unit, "web", [other, address], [other]),
            lambda unit: looked_at(unit, address, 0),
            lambda unit: looked_at(unit, address, 4),
            lambda unit: fleet_commands.join(unit, "web", address),
            lambda unit: fleet_commands.remove_cluster(unit, "web"),
            lambda unit: fleet_commands.go_on_removing(unit, "web"),
        ],
    )
    assert len(answers) == 19
    must_tell_the_same(store, answers)


@pytest.mark.parametrize("seed", range(3))
def test_on_both_engines_too(store: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = recorded(store, random_history(seed, 100))
    must_tell_the_same(store, answers)
    with checkpoints_every(store, 16, monkeypatch) as checkpointer:
        checkpointer.catch_up()
    must_tell_the_same(store, answers)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(200, 220))
def test_on_both_engines_for_many_seeds(
    store: Store, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = recorded(store, random_history(seed, 400))
    with checkpoints_every(store, 64, monkeypatch) as checkpointer:
        checkpointer.catch_up()
    must_tell_the_same(store, answers)


def test_every_time_leads_to_the_last_position_that_was_recorded_by_then(store: Store) -> None:
    answers = recorded(store, random_history(5, 60))
    with store.engine.snapshot() as tx:
        entries = recorder.entries(tx, 0, 10_000)
        for entry in entries:
            same = [each for each in entries if each.recorded_at <= entry.recorded_at]
            assert as_of.by(tx, entry.recorded_at).position == same[-1].position
            before = [each for each in entries if each.recorded_at < entry.recorded_at]
            # Text that sorts right before this time, and after all that came earlier.
            just_before = entry.recorded_at[:-1] + chr(ord(entry.recorded_at[-1]) - 1) + "~"
            expected = before[-1].position if before else 0
            assert as_of.by(tx, just_before).position == expected
        assert as_of.by(tx, "0001-01-01T00:00:00.000000") == Head(0, "")
        assert as_of.by(tx, "9999-01-01T00:00:00.000000") == answers[-1].head


def test_positions_that_are_not_there_lead_to_the_one_before(postgres_store: Store) -> None:
    """A transaction that is rolled back leaves a gap."""
    with postgres_store.writer() as writer:
        for number in range(40):
            done(writer, fleet_commands.create_cluster, f"c{number}", "default", "")
            with postgres_store.engine.append(1) as appending:
                for _ in range(number % 4):
                    appending.tx.execute("SELECT nextval('stored_events_position_seq')")
    with postgres_store.engine.snapshot() as tx:
        entries = recorder.entries(tx, 0, 1000)
        assert entries[-1].position > len(entries)
        for entry in entries:
            found = as_of.by(tx, entry.recorded_at)
            assert found.recorded_at == entry.recorded_at
            assert found.position >= entry.position


def test_a_time_to_come_is_not_told_and_the_latest_is(store: Store) -> None:
    assert place(store.engine, "2015-12-17T15:48:18.710454", now) == Head(0, "")
    head = recorded(store, random_history(5, 20))[-1].head
    assert place(store.engine, now(), now) == head
    with pytest.raises(NotYet):
        place(store.engine, "9999-01-01T00:00:00.000000", now)
    # The machine's clock was set back: what the log has is the past all the same.
    assert place(store.engine, head.recorded_at, lambda: "2000-01-01T00:00:00.000000") == head


def test_what_is_being_appended_at_that_time_is_waited_for(store: Store) -> None:
    """Else an answer about a moment ago would change when it is committed."""
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
    found: list[Head] = []
    with store.engine.append(1) as appending:
        moment = now()
        asking = threading.Thread(
            target=lambda: found.append(place(store.another_engine(), moment, now))
        )
        event = as_of.stream(appending.tx, "cluster/web", 0, 1000)[-1].stored
        stamped = (event.originator_id, 2, "cluster.removal_started", event.state, moment)
        asking.start()
        appending.tx.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state,"
            " recorded_at) VALUES (?, ?, ?, ?, ?)",
            stamped,
        )
        asking.join(0.2)
        assert not found
        appending.commit()
    asking.join(WAIT_TIMEOUT_S)
    assert [head.recorded_at for head in found] == [moment]


def test_heartbeats_are_of_no_past(store: Store) -> None:
    with store.writer() as writer:
        done(writer, fleet_commands.register_host, SECRETS, "10.0.0.1", request())
        done(writer, looked_at, "10.0.0.1", 4)
    with store.engine.append(1) as appending:
        appending.tx.execute(BEAT, ("2099-01-01T00:00:00.000000",))
        appending.commit()
    with store.engine.snapshot() as tx:
        head = recorder.head(tx)
        assert b"2099" in hosts.hosts(tx, Filter())
    [record] = orjson.loads(
        Fleets(store.engine).ask(head.position, hosts.hosts, Filter(), breathe=lambda: None)
    )
    assert record["last_check"] == ACT.at
    answer = Past(store.engine).host(head.position, hosts.host, "10.0.0.1")
    assert answer is not None and ACT.at.encode() in answer.body


def test_what_this_version_cannot_handle_stops_only_what_comes_after_it(store: Store) -> None:
    answers = recorded(store, random_history(5, 30))
    with store.engine.append(1) as appending:
        insert = """
            INSERT INTO stored_events (originator_id, originator_version, topic, state, recorded_at)
            VALUES (?, 1000, 'host.of_tomorrow', ?, ?)
        """
        appending.tx.execute(insert, ("host/10.0.0.1", b"{}", now()))
        appending.commit()
    must_tell_the_same(store, answers)
    with store.engine.snapshot() as tx:
        head = recorder.head(tx)
    for ask in (
        lambda: Past(store.engine).host(head.position, hosts.host, "10.0.0.1"),
        lambda: Fleets(store.engine).ask(head.position, clusters.names, breathe=lambda: None),
    ):
        with pytest.raises(Stopped, match=f"position {head.position} .* host.of_tomorrow"):
            ask()
    assert Past(store.engine).host(head.position, hosts.host, "a.example") == Past(
        store.engine
    ).host(answers[-1].head.position, hosts.host, "a.example")
