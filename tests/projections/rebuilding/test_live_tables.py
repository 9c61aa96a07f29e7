"""The read models are what the log says, at every moment, and are served as the contract says."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from domain.aggregates.cluster import ClusterEvent, Created, HostJoined
from domain.aggregates.host_events import Activated
from domain.commands import fleet_commands
from domain.event import Recorded
from domain.log import recorder
from domain.log.mapper import to_event
from projections import clusters, hosts
from projections.hosts import Filter
from projections.projection import HandlersByTopic, stored_position
from projections.rebuilding import live_tables
from projections.rebuilding.live_tables import LiveTables
from projections.rebuilding.verification import digest, verify
from projections.tables import MemoryTables
from tests.domain.memory_unit import request
from tests.projections.histories import (
    HISTORIES,
    SECRETS,
    Command,
    carry_out,
    looked_at,
    random_history,
)
from tests.support.stores import ACT, Store, done

A, B = "10.0.0.1", "10.0.0.10"


def query(store: Store, ask: Callable[..., Any], *args: Any) -> Any:
    """Ask a read model."""
    with store.engine.snapshot() as tx:
        return ask(tx, *args)


def host_statuses(store: Store) -> dict[str, str]:
    """The status of every host."""
    records = orjson.loads(query(store, hosts.hosts, Filter()))
    return {record["address"]: record["status"] for record in records}


def must_count_right(store: Store) -> None:
    """The counts that were kept equal a recount, cluster by cluster, by other queries."""
    statuses = host_statuses(store)
    inside: list[str] = []
    for name in orjson.loads(query(store, clusters.names)):
        record = orjson.loads(query(store, clusters.cluster, name).body)
        members = orjson.loads(query(store, clusters.members, name).body)
        active = [address for address in members if statuses[address] == "active"]
        total, available = len(members), len(active)
        assert record["hosts"] == {
            "total": total, "available": available, "unavailable": total - available,
        }  # fmt: skip
        expected = "ok" if available == total else "degraded" if available else "failed"
        assert record["status"] == expected
        listed = orjson.loads(query(store, hosts.hosts, Filter(cluster=name)))
        assert [host["address"] for host in listed] == sorted(members)
        inside += members
    assert len(inside) == len(set(inside))
    assert "active" not in {statuses[address] for address in statuses.keys() - set(inside)}


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_live_equals_rebuilt_and_counts_equal_a_recount(history: list[Command]) -> None:
    with ExitStack() as opened:
        directory = Path(opened.enter_context(TemporaryDirectory()))
        store = Store(f"sqlite:///{directory / 'c.db'}", opened).create()
        carry_out(store, history)
        store.must_be_consistent()
        must_count_right(store)


@pytest.mark.parametrize("seed", range(3))
def test_on_both_engines_too(store: Store, seed: int) -> None:
    assert carry_out(store, random_history(seed, 300)) > 100
    store.must_be_consistent()
    must_count_right(store)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 140))
def test_on_both_engines_for_many_seeds(store: Store, seed: int) -> None:
    carry_out(store, random_history(seed, 1000))
    store.must_be_consistent()
    must_count_right(store)


def test_counts_are_right_after_every_single_command(store: Store) -> None:
    for step in random_history(7, 40):
        carry_out(store, [step])
        must_count_right(store)


def fleet_of_two(store: Store) -> None:
    """A is active in web with a source, B is being looked at."""
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
        done(writer, fleet_commands.register_host, SECRETS, A, request("web", source='rack "7"'))
        done(writer, looked_at, A, 4)
        done(writer, fleet_commands.register_host, SECRETS, B, request())


def test_records_have_exactly_the_keys_of_the_contract_in_order(store: Store) -> None:
    fleet_of_two(store)
    active = (
        b'{"address":"10.0.0.1","status":"active","os":"fedora","cpus":4,"memory":8000000,'
        b'"space":50000000,"last_check":"%s"' % ACT.at.encode()
    )
    new = (
        b'{"address":"10.0.0.10","status":"investigating","os":"","cpus":0,"memory":0,"space":0,'
        b'"last_check":""'
    )
    assert query(store, hosts.host, A).body == active + b',"source":"rack \\"7\\""}'
    assert query(store, hosts.host, B).body == new + b',"source":""}'
    assert query(store, hosts.hosts, Filter()) == b"[" + active + b"}," + new + b"}]"
    assert query(store, hosts.host_status, A).bare.body == (
        b'{"type":"host_only","host":{"last_check":"%s","status":"active"},'
        b'"container_manager":{}}' % ACT.at.encode()
    )
    assert query(store, clusters.cluster, "web").body == (
        b'{"name":"web","status":"ok","network":"default","container_manager":"",'
        b'"hosts":{"total":1,"available":1,"unavailable":0}}'
    )
    assert query(store, clusters.members, "web").body == b'["10.0.0.1"]'
    assert query(store, clusters.names) == b'["web"]'


def test_what_does_not_exist_is_not_found_and_empty_lists_are_lists(store: Store) -> None:
    for ask in (hosts.host, hosts.host_status, clusters.cluster, clusters.members):
        assert query(store, ask, "nobody") is None
    assert query(store, hosts.hosts, Filter()) == b"[]" == query(store, clusters.names)
    assert query(store, hosts.list_tag) == "0"
    assert not query(store, clusters.is_member, "web", A)


def test_lists_are_sorted_by_code_point_filtered_and_paged(store: Store) -> None:
    addresses = ["10.0.0.10", "10.0.0.2", "2001:db8::1", "a.example", "b-0", "b.example", "b0"]
    with store.writer() as writer:
        for name in ("web", "Web", "a_", "a-"):
            done(writer, fleet_commands.create_cluster, name, "default", "")
        for n, address in enumerate(reversed(addresses)):
            into = request("web" if n % 2 else None)
            done(writer, fleet_commands.register_host, SECRETS, address, into)
        done(writer, looked_at, "b-0", 0)
    assert query(store, clusters.names) == b'["Web","a-","a_","web"]'

    def listed(**which: Any) -> list[str]:
        records = orjson.loads(query(store, hosts.hosts, Filter(**which)))
        return [record["address"] for record in records]

    assert listed() == addresses
    assert listed(limit=0) == []
    assert listed(limit=3) == addresses[:3]
    assert listed(after="10.0.0.2", limit=2) == addresses[2:4]
    assert listed(after="10.0.0.20") == addresses[2:]
    assert listed(after="zzz") == []
    assert listed(status="failed") == ["b-0"]
    assert listed(status="investigating", after="b-0") == ["b.example", "b0"]
    assert listed(cluster="nowhere") == []
    inside = listed(cluster="web")
    assert sorted(inside) == sorted(orjson.loads(query(store, clusters.members, "web").body))
    assert listed(cluster="web", after=inside[0], limit=1) == inside[1:2]
    pages, after = [], None
    while page := listed(after=after, limit=2):
        pages += page
        after = page[-1]
    assert pages == addresses
    found = query(store, hosts.addresses, ("failed", "active"))
    assert found == [("b-0", "unreachable")]


def test_an_event_moves_the_validators_of_what_it_changed_and_a_heartbeat_does_not(
    store: Store,
) -> None:
    fleet_of_two(store)
    before = query(store, hosts.host, A), query(store, hosts.host, B), query(store, hosts.list_tag)
    later = "2027-01-01T00:00:00.000000"
    beat = "INSERT INTO heartbeats VALUES (?, ?)"
    with store.engine.append(1) as appending:
        for address in (A, B):
            appending.tx.execute(beat, (address, later))
        appending.commit()
    assert later.encode() in query(store, hosts.host, A).body
    assert query(store, hosts.host, A).tag == before[0].tag
    assert query(store, hosts.list_tag) == before[2]
    with store.writer() as writer:
        done(writer, looked_at, A, 0)
    assert query(store, hosts.host, A).tag != before[0].tag
    assert query(store, hosts.host, B).tag == before[1].tag
    assert query(store, hosts.list_tag) != before[2]


def test_a_host_that_came_back_was_not_checked_yet(store: Store) -> None:
    fleet_of_two(store)
    with store.writer() as writer:
        beat = ("INSERT INTO heartbeats VALUES (?, ?)", (A, "2027-01-01T00:00:00.000000"))
        done(writer, lambda unit: unit.write_beside(lambda tx: tx.execute(*beat)))
        done(writer, fleet_commands.remove_host, SECRETS, A)
        done(writer, fleet_commands.register_host, SECRETS, A, request())
    assert b'"last_check":""' in query(store, hosts.host, A).body


def positions(store: Store) -> list[int]:
    """How far each projection has come."""
    return [query(store, stored_position, p.name) for p in store.models.projections]


def test_rows_and_position_are_saved_together(store: Store) -> None:
    fleet_of_two(store)
    head = query(store, recorder.head).position
    assert set(positions(store)) == {head}
    with store.engine.append(1) as appending:
        store.models.save_position(appending.tx, 99)
    assert set(positions(store)) == {head}


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_empty_read_models_catch_up_with_an_existing_log(
    store: Store, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(3, 60))
    with store.engine.snapshot() as tx:
        live = [digest(tx, projection) for projection in store.models.projections]
    with store.engine.append(1) as appending:
        tables = [table.name for model in store.models.projections for table in model.tables]
        for table in (*tables, "projection_positions"):
            appending.tx.execute(f"DELETE FROM {table}")  # noqa: S608 - names are ours
        appending.commit()
    monkeypatch.setattr(live_tables, "CATCH_UP_EVENTS", batch)
    store.models.catch_up(store.engine)
    with store.engine.snapshot() as tx:
        assert [digest(tx, projection) for projection in store.models.projections] == live
    assert set(positions(store)) == {query(store, recorder.head).position}
    store.models.catch_up(store.engine)


def test_what_another_version_made_is_made_anew(store: Store) -> None:
    carry_out(store, random_history(3, 60))
    with store.engine.snapshot() as tx:
        live = [digest(tx, projection) for projection in store.models.projections]
    with store.engine.append(1) as appending:
        appending.tx.execute("UPDATE projection_positions SET version = 0 WHERE name = 'hosts'")
        appending.tx.execute("DROP TABLE hosts")
        appending.tx.execute("CREATE TABLE hosts (address TEXT PRIMARY KEY, of_old TEXT)")
        appending.commit()
    store.models.create_tables(store.engine)
    assert store.models.outdated == {"hosts": "version 0 of it had other columns"}
    store.models.catch_up(store.engine)
    assert (store.models.outdated, store.models.stopped) == ({}, {})
    with store.engine.snapshot() as tx:
        assert [digest(tx, projection) for projection in store.models.projections] == live
    assert set(positions(store)) == {query(store, recorder.head).position}


def test_projections_are_pure(store: Store) -> None:
    """The same events give the same rows: twice, and whatever other projection ran before."""
    carry_out(store, random_history(4, 200))
    with store.engine.snapshot() as tx:
        entries = recorder.entries(tx, 0, 10_000)
    assert verify(store.engine, store.models.projections) == verify(
        store.engine, store.models.projections
    )
    both, alone = MemoryTables(), MemoryTables()
    for entry in entries:
        recorded = Recorded(entry.position, entry.recorded_at, to_event(entry.stored))
        before = dict(vars(recorded.event))
        for model in store.models.projections:
            model.project(recorded, both)
        clusters.PROJECTION.project(recorded, alone)
        assert vars(recorded.event) == before
    for table in clusters.PROJECTION.tables:
        assert both(table).rows == alone(table).rows


def test_projections_handle_every_event_that_changes_their_rows(store: Store) -> None:
    carry_out(store, random_history(5, 400))
    concerned = HandlersByTopic(store.models.projections)
    told_all, told_some = MemoryTables(), MemoryTables()
    with store.engine.snapshot() as tx:
        for entry in recorder.entries(tx, 0, 10_000):
            recorded = Recorded(entry.position, entry.recorded_at, to_event(entry.stored))
            for model in store.models.projections:
                model.project(recorded, told_all)
            for model in concerned.by(entry.stored.topic):
                model.project(recorded, told_some)
    for model in store.models.projections:
        for table in model.tables:
            assert told_all(table).rows == told_some(table).rows, table.name


def test_an_event_of_another_version_concerns_those_that_handle_its_kind(store: Store) -> None:
    concerned = HandlersByTopic(store.models.projections)

    def names(topic: str) -> list[str]:
        return [model.name for model in concerned.by(topic)]

    assert names("host.credentials_read") == ["hosts"]
    assert names("host.teleported") == ["hosts", "clusters", "fleet"]
    assert names("network.merged") == ["networks"]
    assert names("nobody.knows") == [model.name for model in store.models.projections]


def test_an_event_that_a_projection_does_not_know_stops_it_loudly() -> None:
    tables = MemoryTables()
    created = Created("web", "default", "", originator_id="cluster/web")
    clusters.PROJECTION.project(Recorded(1, "", created), tables)
    with pytest.raises(TypeError, match="does not know"):
        clusters.PROJECTION.project(
            Recorded(2, "", ClusterEvent(originator_id="cluster/web")), tables
        )
    lost = HostJoined("10.0.0.1", originator_id="cluster/db")
    with pytest.raises(LookupError, match="no cluster db"):
        clusters.PROJECTION.project(Recorded(3, "", lost), tables)
    with pytest.raises(LookupError, match="not registered"):
        hosts.PROJECTION.project(Recorded(4, "", Activated(originator_id="host/a")), tables)


def test_a_dense_read_model_of_nothing_has_a_digest_too(store: Store) -> None:
    store.must_be_consistent()
    LiveTables([]).catch_up(store.engine)
