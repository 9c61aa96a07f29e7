"""The read models of networks, container managers and nodes are what a rebuild gives."""

from domain.aggregates.container_manager import container_manager_request
from domain.aggregates.network import network_request
from domain.commands import fleet_commands, investigation
from domain.commands.investigation import Subject
from projections import container_managers, hosts, networks
from projections.all import PROJECTIONS
from projections.rebuilding.live_tables import LiveTables
from tests.domain.memory_unit import FACTS, MemorySecrets, request
from tests.support.stores import Store, done

ADDRESSES = ("10.0.0.1", "10.0.0.2")


def fill(store: Store) -> None:
    """Some of everything, and some that is gone again."""
    secrets = MemorySecrets()
    trivial = container_manager_request("trivial", {})
    with store.writer() as writer:
        for name in ("blue", "red"):
            done(
                writer,
                lambda unit, n=name: unit.network(n).create(network_request("flannel_etcd", {})),
            )
        for name in ("lab", "prod"):
            done(writer, fleet_commands.create_container_manager, secrets, name, trivial)
        done(writer, fleet_commands.create_cluster, "web", "blue", "lab")
        for address in ADDRESSES:
            done(writer, fleet_commands.register_host, secrets, address, request("web"))
            done(writer, lambda unit, a=address: settle(unit, a))
        done(writer, fleet_commands.leave, "web", ADDRESSES[1])
        done(writer, lambda unit: unit.network("red").remove())
        done(writer, fleet_commands.remove_container_manager, secrets, "prod")


def settle(unit: fleet_commands.Unit, address: str) -> None:
    """A host was looked at."""
    investigation.settle(unit, Subject(address, unit.host(address).incarnation), FACTS)


def test_the_live_rows_are_what_a_rebuild_gives(store: Store) -> None:
    fill(store)
    store.must_be_consistent()
    with store.engine.snapshot() as tx:
        assert networks.names(tx) == b'["blue","default"]'
        assert container_managers.names(tx) == b'["lab"]'
        reports = [hosts.host_status(tx, address) for address in ADDRESSES]
    assert [b'"node"' in report.bare.body for report in reports if report] == [True, False]


def test_a_database_from_before_they_were_there_is_brought_up_to_date(store: Store) -> None:
    fill(store)
    with store.engine.append(10) as appending:
        for table in ("networks", "container_managers", "nodes"):
            appending.tx.execute(f"DROP TABLE {table}")
        appending.tx.execute(
            "DELETE FROM projection_positions WHERE name IN ('networks', 'container_managers')"
        )
        appending.commit()
    models = LiveTables(PROJECTIONS)
    models.create_tables(store.engine)
    models.catch_up(store.engine)
    store.must_be_consistent()
    with store.engine.snapshot() as tx:
        assert networks.names(tx) == b'["blue","default"]'
