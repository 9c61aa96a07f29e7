"""Histories for persons: every event has its sentence, and says what it changed."""

from typing import Any, get_args

import pytest

from domain.aggregates.host_events import FactsGathered
from domain.all_events import MODULES
from domain.commands import fleet_commands
from domain.event import Act, Event
from domain.log.engine import StoredEvent
from domain.log.recorder import LogRecorder
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.event_sentences import REASONS, TELLINGS
from projections.history import Page, history
from tests.support.stores import Store, done

NOBODY_KNOWS = "host/10.9.9.9"
HOST, CLUSTER = "host/10.0.0.7", "cluster/web"


def every_event_class() -> set[type[Event]]:
    """Those that are stored: what has a topic with a dot in it."""
    found = (thing for module in MODULES for thing in vars(module).values())
    classes = (thing for thing in found if isinstance(thing, type) and issubclass(thing, Event))
    return {event for event in classes if "." in event.TOPIC}


def test_every_event_has_its_sentence() -> None:
    missing = {event.TOPIC for event in every_event_class() - TELLINGS.keys()}
    assert missing == set(), "projections/event_sentences.py needs a sentence for each"
    assert TELLINGS.keys() == every_event_class()


def test_every_reason_that_is_a_word_has_its_sentence() -> None:
    from domain.aggregates import cluster
    from domain.aggregates.accounts import session, token
    from domain.event import LeaveReason

    words = (LeaveReason, cluster.LockReason, token.Reason, session.Reason)
    assert {word for each in words for word in get_args(each)} == {"", *REASONS}


@pytest.fixture
def lived(store: Store) -> Store:
    """A host that is registered, joins, fails, recovers, and is removed."""

    def command(writer: Writer, what: Any, actor: str, correlation: str) -> None:
        act = Act(actor, correlation, "2026-01-02T03:04:05.000006")
        writer.submit(act, what).result(20)

    def settle(unit: Unit) -> None:
        host = unit.host("10.0.0.7")
        host.gather_facts(FactsGathered("fedora", "40", 4, 8000, 5000, "b"))
        host.finish_bootstrap()
        host.activate()

    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
        for number in (1, 2):
            command(writer, _register, "alice", f"ticket-{number}")
            command(writer, settle, "runner:investigator", "host/10.0.0.7@1")
            command(
                writer,
                lambda unit: unit.host("10.0.0.7").fail("unreachable", "It is off."),
                "runner:watcher",
                "host/10.0.0.7@1",
            )
            command(writer, _remove, "bob", f"gone-{number}")
    return store


def _register(unit: Unit) -> None:
    from domain.aggregates.host import Registration

    host = unit.host("10.0.0.7")
    host.register(Registration("root", 22), "SHA256:x")
    unit.cluster("web").add("10.0.0.7")
    host.join_cluster("web")


def _remove(unit: Unit) -> None:
    unit.cluster("web").drop("10.0.0.7", "host_removed")
    host = unit.host("10.0.0.7")
    host.leave_cluster("host_removed")
    host.remove()


def told(store: Store, subject: str, after: int = 0, limit: int = 1000) -> Page:
    with store.engine.snapshot() as tx:
        page = history(tx, subject, after, limit)
    assert page is not None
    return page


def test_a_history_says_when_who_what_changed_why_and_because_of_what(lived: Store) -> None:
    records = told(lived, HOST).records
    assert [record["what"] for record in records[:4]] == [
        "registered, to be logged in to as root at port 22",
        "joined cluster web",
        "said what it is: fedora 40",
        "set up",
    ]
    failed = records[5]
    assert (failed["actor"], failed["why"]) == ("runner:watcher", "It is off.")
    assert failed["changes"] == {"status": {"before": "active", "after": "failed"}}
    assert (failed["request"], failed["follows_from"]) == (None, "host/10.0.0.7@1")
    registered = records[0]
    assert (registered["actor"], registered["request"]) == ("alice", "ticket-1")
    assert registered["changes"]["status"] == {"before": None, "after": "investigating"}
    assert registered["changes"]["login_key"] == {"before": None, "after": "SHA256:x"}
    facts = records[2]["changes"]
    assert facts["cpus"] == {"before": None, "after": 4}
    assert facts["status"] == {"before": "investigating", "after": "bootstrapping"}
    removed = records[7]
    assert removed["type"] == "host.removed"
    assert removed["changes"]["status"] == {"before": "failed", "after": None}
    assert records[8]["changes"]["status"] == {"before": None, "after": "investigating"}


def test_the_members_of_a_cluster_are_counted_and_reasons_are_sentences(lived: Store) -> None:
    records = told(lived, CLUSTER).records
    assert [record["what"] for record in records] == [
        "created with network default",
        *["10.0.0.7 joined", "10.0.0.7 left"] * 2,
    ]
    assert records[2]["changes"] == {"hosts": {"before": 1, "after": 0}}
    assert records[2]["why"] == "The host was removed."


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_a_history_are_the_history(lived: Store, limit: int) -> None:
    whole = told(lived, HOST).records
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = told(lived, HOST, after, limit)
        assert len(page.records) <= limit
        found += page.records
        after = page.next
    assert found == whole


def test_only_what_was_never_heard_of_has_no_history(lived: Store) -> None:
    with lived.engine.snapshot() as tx:
        assert history(tx, NOBODY_KNOWS, 0, 10) is None
        assert history(tx, HOST, 10_000, 10) == Page([], None)


def test_what_cannot_be_read_is_told_of_and_what_follows_from_it_as_well(store: Store) -> None:
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
    left = b'{"class_version":2,"address":"10.0.0.7","reason":"","actor":"bob"}'
    strange = [
        ("cluster.host_adopted", b'{"address":"10.0.0.7"}'),
        ("cluster.host_joined", b'{"address":'),
        ("cluster.host_joined", b"{}"),
        ("cluster.host_left", left),
    ]
    LogRecorder(store.engine).insert_events(
        [StoredEvent(CLUSTER, n, *each) for n, each in enumerate(strange, start=2)]
    )
    with store.engine.snapshot() as tx:
        page = history(tx, CLUSTER, 0, 100)
        later = history(tx, CLUSTER, int(page.records[-2]["id"]) if page else 0, 100)
    assert page is not None
    assert later is not None
    assert [record["type"] for record in page.records[1:]] == [topic for topic, _ in strange]
    assert {r["what"] for r in page.records[1:4]} == {"something that this version does not know"}
    assert page.records[-1]["actor"] == "bob"
    assert [record["changes"] for record in page.records[1:]] == [{}] * len(strange)
    assert later.records == page.records[-1:]
