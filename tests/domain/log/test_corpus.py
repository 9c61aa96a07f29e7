"""The golden corpus: what any version of this program ever stored is read by this one."""

from collections import Counter
from typing import Any

import pytest

from domain.aggregate import Aggregate
from domain.aggregates.accounts.session import Session
from domain.aggregates.accounts.token import Token
from domain.aggregates.accounts.user import User
from domain.aggregates.cluster import Cluster
from domain.aggregates.container_manager import ContainerManager
from domain.aggregates.host import Host
from domain.aggregates.log_history import LogHistory
from domain.aggregates.network import Network
from domain.aggregates.operation import Operation
from domain.aggregates.planning.schedule import Schedule
from domain.aggregates.planning.window import Window
from domain.aggregates.source import Source
from domain.aggregates.webhook import Webhook
from domain.log.engine import StoredEvent
from domain.log.recorder import LogRecorder
from domain.log.unit import load
from projections.event_sentences import TELLINGS
from projections.history import history
from runners.cli.log.check import check
from tests.domain.log.corpus import STORED, STORY, state, versioned
from tests.support.stores import Store

CORPUS: dict[str, list[tuple[str, str, str]]] = {}
for one in STORED:
    CORPUS.setdefault(versioned(one[0], one[2]), []).append(one)
AGGREGATES: tuple[type[Aggregate[Any]], ...] = (
    Host,
    Cluster,
    Network,
    ContainerManager,
    LogHistory,
    Operation,
    Source,
    User,
    Token,
    Session,
    Webhook,
    Window,
    Schedule,
)


def story() -> list[StoredEvent]:
    """The corpus as a log, in an order in which it can have come about."""
    versions: Counter[str] = Counter()
    uses: Counter[str] = Counter()
    found = []
    for name, elsewhere in STORY:
        variants = CORPUS[name]
        topic, subject, payload = variants[uses[name] % len(variants)]
        uses[name] += 1
        subject = elsewhere or subject
        versions[subject] += 1
        found.append(StoredEvent(subject, versions[subject], topic, state(payload)))
    assert all(uses[name] >= len(variants) for name, variants in CORPUS.items())
    return found


@pytest.fixture
def replayed(store: Store) -> Store:
    """A store whose log is the corpus, with read models that have caught up with it."""
    LogRecorder(store.engine).insert_events(story())
    store.models.catch_up(store.engine)
    assert store.models.stopped == {}
    return store


def test_every_version_of_every_event_is_in_the_corpus_and_in_its_story() -> None:
    wanted = {
        event.TOPIC if version == 1 else f"{event.TOPIC}@{version}"
        for event in TELLINGS
        for version in range(1, event.class_version + 1)
    }
    assert set(CORPUS) == wanted
    assert {name for name, _ in STORY} == wanted


def test_the_corpus_is_replayed_into_todays_aggregates(replayed: Store) -> None:
    last = {event.originator_id: event.originator_version for event in story()}
    kinds = {kind.KIND: kind for kind in AGGREGATES}
    with replayed.engine.snapshot() as tx:
        for subject, version in last.items():
            kind, _, name = str(subject).partition("/")
            aggregate = load(tx, kinds[kind], name)
            assert aggregate.version == version, subject
        assert not load(tx, Host, "10.0.0.7").registered
        assert not load(tx, Cluster, "web").exists
        assert load(tx, Operation, "0193-8").state == "partial"


def test_the_corpus_is_replayed_into_todays_projections(replayed: Store) -> None:
    replayed.must_be_consistent()
    assert check(replayed.engine).wrong == ""


def test_the_corpus_is_told_to_persons_and_programs(replayed: Store) -> None:
    with replayed.engine.snapshot() as tx:
        for subject in {str(event.originator_id) for event in story()}:
            page = history(tx, subject, 0, 1000)
            assert page is not None
            for record in page.records:
                assert record["what"], record
    left = history_of(replayed, "host/10.0.0.7", "host.left_cluster")
    assert [record["why"] for record in left] == [None, "The host was removed."]
    assert [record["changes"]["cluster"] for record in left] == [
        {"before": "web", "after": None},
        {"before": "web", "after": None},
    ]


def history_of(store: Store, subject: str, topic: str) -> list[dict[str, Any]]:
    with store.engine.snapshot() as tx:
        page = history(tx, subject, 0, 1000)
    assert page is not None
    return [record for record in page.records if record["type"] == topic]
