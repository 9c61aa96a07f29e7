"""Events to bytes and back: by explicit topics, in plain JSON, and nothing else."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, get_args

import orjson
import pytest
from eventsourcing.persistence import MapperDeserialisationError

from domain.aggregates.accounts.session import AnySessionEvent, SessionEvent
from domain.aggregates.accounts.token import AnyTokenEvent, TokenEvent
from domain.aggregates.accounts.user import AnyUserEvent, UserEvent
from domain.aggregates.cluster import AnyClusterEvent, ClusterEvent
from domain.aggregates.container_manager_events import (
    AnyContainerManagerEvent,
    ContainerManagerEvent,
)
from domain.aggregates.host_events import AnyHostEvent, HostEvent
from domain.aggregates.log_history import (
    CheckpointSigned,
    ClockSetBack,
    KeyRotated,
    LogEvent,
    WentBack,
)
from domain.aggregates.network import AnyNetworkEvent, NetworkEvent
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import AnyOperationEvent, OperationEvent
from domain.aggregates.planning.schedule_events import AnyScheduleEvent, ScheduleEvent
from domain.aggregates.planning.window import AnyWindowEvent, WindowEvent
from domain.aggregates.source import AnySourceEvent, SourceEvent
from domain.aggregates.webhook import AnyWebhookEvent, WebhookEvent
from domain.event import TOPICS, Event
from domain.log.engine import StoredEvent
from domain.log.mapper import MAPPER, UnknownTopic, to_event, to_stored, whole_event
from domain.log.recorder import LogRecorder
from domain.log.unit import load
from domain.refusal import Refusal
from tests.domain.log.corpus import STORED, state, versioned
from tests.support.stores import Store, sqlite_store

__all__ = ["sqlite_store"]

KINDS = (
    HostEvent,
    ClusterEvent,
    NetworkEvent,
    ContainerManagerEvent,
    SourceEvent,
    LogEvent,
    OperationEvent,
    SessionEvent,
    TokenEvent,
    UserEvent,
    ScheduleEvent,
    WebhookEvent,
    WindowEvent,
)
CLASSES: tuple[type[Event], ...] = (
    *get_args(AnyHostEvent),
    *get_args(AnyClusterEvent),
    *get_args(AnyNetworkEvent),
    *get_args(AnyContainerManagerEvent),
    *get_args(AnySourceEvent),
    *get_args(AnySessionEvent),
    *get_args(AnyTokenEvent),
    *get_args(AnyUserEvent),
    WentBack,
    ClockSetBack,
    CheckpointSigned,
    KeyRotated,
    *get_args(AnyOperationEvent),
    *get_args(AnyScheduleEvent),
    *get_args(AnyWebhookEvent),
    *get_args(AnyWindowEvent),
)


def test_every_event_class_is_in_its_union_and_has_a_topic_of_its_own() -> None:
    found = {event for kind in KINDS for event in kind.__subclasses__()}
    assert found == set(CLASSES)
    assert len({event.TOPIC for event in CLASSES}) == len(CLASSES)
    assert all(TOPICS[event.TOPIC] is event for event in CLASSES)


def test_whoever_reads_the_log_knows_every_event() -> None:
    """In a process that has imported nothing else."""
    code = "import domain.log.mapper as m; print(*sorted(m.TOPICS))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {event.TOPIC for event in CLASSES} <= set(said.stdout.split())


def test_the_corpus_knows_every_event() -> None:
    assert {topic for topic, _, _ in STORED} == {event.TOPIC for event in CLASSES}


@pytest.mark.parametrize(
    ("topic", "subject", "payload"), STORED, ids=[versioned(s[0], s[2]) for s in STORED]
)
def test_every_event_ever_stored_comes_back_and_is_stored_the_same_today(
    topic: str, subject: str, payload: str
) -> None:
    stored = StoredEvent(subject, 7, topic, state(payload))
    event = to_event(stored)
    assert type(event) is TOPICS[topic]
    assert vars(event) == vars(MAPPER.to_domain_event(stored))
    assert (event.originator_id, event.originator_version) == (subject, 7)
    assert (event.at, event.actor) == ("2026-01-02T03:04:05.000006", "alice")
    again = to_stored(event)
    if orjson.loads(stored.state).get("class_version", 1) == event.class_version:
        assert orjson.loads(again.state) == orjson.loads(stored.state)
    assert to_event(again) == event
    assert (again.topic, again.originator_id, again.originator_version) == (topic, subject, 7)


def test_an_unknown_topic_is_refused_and_nothing_is_imported_for_it() -> None:
    sys.modules.pop("antigravity", None)
    with pytest.raises(UnknownTopic, match=r"antigravity:Fly"):
        to_event(StoredEvent("host/a", 1, "antigravity:Fly", b"{}"))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("state", [b"", b"junk", b"\xff", b'{"cut', b"[]", b"7", b'"text"'])
def test_a_state_that_is_no_json_is_an_error_that_names_the_event(state: bytes) -> None:
    with pytest.raises(MapperDeserialisationError, match="host/a"):
        to_event(StoredEvent("host/a", 1, "host.removed", state))


@dataclass(frozen=True)
class Grown(Event):
    """An event for this test that has been changed twice."""

    TOPIC: ClassVar[str] = "test.grown"
    class_version: ClassVar[int] = 3
    size_mm: int

    @staticmethod
    def upcast_v1_v2(content: dict[str, Any]) -> None:
        """It was called length."""
        content["size"] = content.pop("length")

    @staticmethod
    def upcast_v2_v3(content: dict[str, Any]) -> None:
        """It was in centimetres."""
        content["size_mm"] = 10 * content.pop("size")


@pytest.mark.parametrize(
    "state", [b'{"length":7}', b'{"size":7,"class_version":2}', b'{"size_mm":70,"class_version":3}']
)
def test_an_older_version_is_upcast_step_by_step_as_the_package_does_it(state: bytes) -> None:
    stored = StoredEvent("test/a", 1, "test.grown", state)
    assert vars(to_event(stored)) == vars(MAPPER.to_domain_event(stored))
    assert to_event(stored) == Grown(70)
    assert b'"class_version":3' in to_stored(Grown(70)).state


def test_a_newer_version_of_an_event_is_not_taken_for_one_of_today() -> None:
    state = b'{"size_mm":70,"class_version":4}'
    with pytest.raises(UnknownTopic, match=r"'test.grown' up to version 3, not 4"):
        to_event(StoredEvent("test/a", 1, "test.grown", state))


def test_an_operation_with_an_option_of_tomorrow_is_not_driven_as_if_it_had_none(
    sqlite_store: Store,
) -> None:
    options = b'"options":{"max_parallel":1,"moon":"full"}'
    state = b'{"kind":"restart","cluster":"web","version":"",%b,"hosts":[],"skipped":[]' % options
    state += b',"predecessor":"","at":"","actor":"","correlation":""}'
    stored = StoredEvent("operation/x", 1, "operation.started", state)
    with pytest.raises(TypeError, match="moon"):
        whole_event(stored)
    LogRecorder(sqlite_store.engine).insert_events([stored])
    with (
        sqlite_store.engine.snapshot() as tx,
        pytest.raises(Refusal, match=r"cannot read event 1 of operation/x, operation\.started"),
    ):
        load(tx, Operation, "x")


@dataclass(frozen=True)
class Odd(Event):
    """An event for this test, with whatever in it."""

    TOPIC: ClassVar[str] = "test.odd"
    value: Any


class Text(str):
    """No plain JSON value, though it looks like one."""

    __slots__ = ()


@pytest.mark.parametrize(
    "value", [datetime(2026, 1, 1, tzinfo=UTC), Text("x"), {1}, {1: 2}, 2**64, b"x", "\ud800"]
)
def test_what_would_not_come_back_as_it_was_is_not_stored(value: object) -> None:
    with pytest.raises(TypeError):
        to_stored(Odd(value))


def test_an_event_class_without_a_topic_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="needs a TOPIC"):
        type("Nameless", (Event,), {})
