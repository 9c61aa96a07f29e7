"""The clusters as GET serves them, with counts that are kept up to date host by host."""

from dataclasses import dataclass

import orjson

from domain.aggregates import cluster as cluster_events
from domain.aggregates import host_events
from domain.aggregates.cluster import ClusterEvent
from domain.aggregates.host_events import HostEvent
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.hosts import Answer
from projections.projection import Projection, tag
from projections.tables import Rows, Table, TableAccess

VERSION = 1


@dataclass(slots=True)
class ClusterRow:
    """One cluster. `record` is what GET answers."""

    name: str
    network: str
    container_manager: str
    total: int
    available: int
    removing: int
    tag: str
    record: str


@dataclass(slots=True)
class MemberRow:
    """A host in a cluster. `position` of the log, where it joined, gives the order."""

    address: str
    cluster: str
    position: int
    available: int


def _derive(row: ClusterRow) -> None:
    row.record = orjson.dumps(
        {
            "name": row.name,
            "status": health(row.total, row.available),
            "network": row.network,
            "container_manager": row.container_manager,
            "hosts": {
                "total": row.total,
                "available": row.available,
                "unavailable": row.total - row.available,
            },
        }
    ).decode()


CLUSTERS = Table(
    "clusters",
    ClusterRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            network {text} NOT NULL,
            container_manager {text} NOT NULL,
            total BIGINT NOT NULL,
            available BIGINT NOT NULL,
            removing BIGINT NOT NULL,
            tag {text} NOT NULL,
            record {text} NOT NULL
        ) {clustered}
        """,
    ),
    _derive,
)

MEMBERS = Table(
    "members",
    MemberRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            address {text} PRIMARY KEY,
            cluster {text} NOT NULL,
            position BIGINT NOT NULL,
            available BIGINT NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_cluster ON {table} (cluster, position)",
    ),
)


UNSEEN = (
    cluster_events.OperationStarted,
    cluster_events.OperationEnded,
    cluster_events.PolicyChanged,
    cluster_events.LockTaken,
    cluster_events.LockGiven,
)
"""What happens to a cluster and is no part of its record."""
COUNTED = (host_events.Activated, host_events.Recovered, host_events.Failed)
"""What happens to a host and makes it available, or not."""


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    if isinstance(event, ClusterEvent):
        _project_cluster(recorded, event, tables)
    elif isinstance(event, HostEvent):
        _project_host(recorded, event, tables)


def _project_cluster(recorded: Recorded, event: ClusterEvent, tables: TableAccess) -> None:
    clusters, members = tables(CLUSTERS), tables(MEMBERS)
    name = event.originator_id.partition("/")[2]
    if isinstance(event, cluster_events.Created):
        row = ClusterRow(name, event.network, event.container_manager, 0, 0, 0, "", "")
        return _put(clusters, row, recorded)
    if isinstance(event, cluster_events.Removed):
        return clusters.delete(name)
    row = _known(clusters, name, recorded)
    match event:
        case cluster_events.HostJoined():
            members.put(MemberRow(event.address, name, recorded.position, 0))
            row.total += 1
        case cluster_events.HostLeft():
            member = members.get(event.address)
            if member is not None:
                row.available -= member.available
            members.delete(event.address)
            row.total -= 1
        case cluster_events.RemovalStarted():
            row.removing = 1  # it is there until it is gone
        case _ if isinstance(event, UNSEEN):
            return None
        case _:
            raise TypeError(f"the clusters projection does not know {event.TOPIC}")
    return _put(clusters, row, recorded)


def _project_host(recorded: Recorded, event: HostEvent, tables: TableAccess) -> None:
    """Keep count of the members that are active."""
    match event:
        case host_events.Activated():
            available = 1
        case host_events.Recovered():
            available = int(event.status == "active")
        case host_events.Failed():
            available = 0
        case _:
            return
    members = tables(MEMBERS)
    member = members.get(event.originator_id.partition("/")[2])
    if member is None or member.available == available:
        return
    clusters = tables(CLUSTERS)
    row = _known(clusters, member.cluster, recorded)
    row.available += available - member.available
    member.available = available
    members.put(member)
    _put(clusters, row, recorded)


def _known(clusters: Rows[ClusterRow], name: str, recorded: Recorded) -> ClusterRow:
    row = clusters.get(name)
    if row is None:
        raise LookupError(f"{recorded.event.TOPIC} at {recorded.position}: no cluster {name}")
    return row


def _put(clusters: Rows[ClusterRow], row: ClusterRow, recorded: Recorded) -> None:
    row.tag = tag(recorded, VERSION)
    clusters.put(row)


def health(total: int, available: int) -> str:
    """The status of a cluster by the count of its members."""
    if available == total:
        return "ok"
    return "degraded" if available else "failed"


HANDLES = (ClusterEvent, *COUNTED)
PROJECTION = Projection("clusters", VERSION, (CLUSTERS, MEMBERS), HANDLES, project)


# Queries


def cluster(tx: Transaction, name: str) -> Answer | None:
    """The record of one cluster."""
    sql = "SELECT record, tag FROM clusters WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    return Answer(found[0].encode(), found[1]) if found else None


def names(tx: Transaction) -> bytes:
    """A JSON list of all names, sorted."""
    rows = tx.execute("SELECT name FROM clusters ORDER BY name").fetchall()
    return orjson.dumps([row[0] for row in rows])


def is_there(tx: Transaction, name: str) -> bool:
    """Whether there is a cluster of this name."""
    return tx.execute("SELECT 1 FROM clusters WHERE name = ?", (name,)).fetchone() is not None


def members(tx: Transaction, name: str) -> Answer | None:
    """A JSON list of a cluster's members, in order of joining."""
    sql = "SELECT tag FROM clusters WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    if found is None:
        return None
    sql = "SELECT address FROM members WHERE cluster = ? ORDER BY position"
    rows = tx.execute(sql, (name,)).fetchall()
    return Answer(orjson.dumps([row[0] for row in rows]), found[0])


def is_member(tx: Transaction, name: str, address: str) -> bool:
    """Whether this host is in this cluster."""
    sql = "SELECT 1 FROM members WHERE address = ? AND cluster = ?"
    return tx.execute(sql, (address, name)).fetchone() is not None


def half_removed(tx: Transaction) -> list[str]:
    """Clusters whose removal has started, sorted by name."""
    rows = tx.execute("SELECT name FROM clusters WHERE removing = 1 ORDER BY name").fetchall()
    return [row[0] for row in rows]
