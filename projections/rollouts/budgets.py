"""The budget of each cluster as GET serves it: its policy, and who holds a lock."""

from dataclasses import dataclass
from typing import Any

import orjson

from domain.aggregates import cluster as events
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.projection import Projection
from projections.tables import Table, TableAccess

VERSION = 1
NO_POLICY = {"max_unavailable": None, "window": None, "gate": None}


@dataclass(slots=True)
class PolicyRow:
    """The policy of one cluster, as JSON."""

    cluster: str
    record: str


@dataclass(slots=True)
class LockRow:
    """A member that holds a lock. `since` is when it took it."""

    address: str
    cluster: str
    client: str
    since: str


POLICIES = Table(
    "cluster_policies",
    PolicyRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            cluster {text} PRIMARY KEY,
            record {text} NOT NULL
        ) {clustered}
        """,
    ),
)

LOCKS = Table(
    "cluster_locks",
    LockRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            address {text} PRIMARY KEY,
            cluster {text} NOT NULL,
            client {text} NOT NULL,
            since {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_cluster ON {table} (cluster)",
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    name = event.originator_id.partition("/")[2]
    match event:
        case events.PolicyChanged():
            told = {
                "max_unavailable": event.max_unavailable,
                "window": event.window or None,
                "gate": event.gate or None,
            }
            record = orjson.dumps(told).decode()
            tables(POLICIES).put(PolicyRow(name, record))
        case events.LockTaken():
            tables(LOCKS).put(LockRow(event.address, name, event.client, event.at))
        case events.LockGiven() | events.HostLeft():
            tables(LOCKS).delete(event.address)
        case events.Removed():  # its members have left it before
            tables(POLICIES).delete(name)
        case _:
            pass


HANDLES = (
    events.PolicyChanged,
    events.LockTaken,
    events.LockGiven,
    events.HostLeft,
    events.Removed,
)
PROJECTION = Projection("budgets", VERSION, (POLICIES, LOCKS), HANDLES, project)


# Queries


# Any: plain JSON.
def policy(tx: Transaction, cluster: str) -> dict[str, Any]:
    """The policy of a cluster that is there."""
    sql = "SELECT record FROM cluster_policies WHERE cluster = ?"
    found = tx.execute(sql, (cluster,)).fetchone()
    return NO_POLICY | orjson.loads(found[0]) if found else NO_POLICY


def locks(tx: Transaction, cluster: str | None = None) -> list[dict[str, str]]:
    """Who holds a lock, in the order in which they were taken: of a cluster, or of all."""
    condition, params = ("", ()) if cluster is None else ("WHERE cluster = ?", (cluster,))
    sql = f"""
        SELECT cluster, address, client, since FROM cluster_locks {condition}
        ORDER BY since, address
    """  # noqa: S608 - the value is bound
    names = ("cluster", "address", "id", "since")
    return [dict(zip(names, row, strict=True)) for row in tx.execute(sql, params).fetchall()]
