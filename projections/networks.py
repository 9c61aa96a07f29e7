"""The networks as GET serves them. The built-in one has no events, and so no row."""

from dataclasses import dataclass

import orjson

from domain.aggregates import network as events
from domain.aggregates.network import DEFAULT_NETWORK, DEFAULT_TYPE, NetworkEvent
from domain.event import Recorded
from domain.log.transaction import Transaction
from domain.options import Options
from projections.hosts import Answer
from projections.projection import Projection, tag
from projections.tables import Table, TableAccess

VERSION = 1


@dataclass(slots=True)
class NetworkRow:
    """One network. `record` is what GET answers."""

    name: str
    tag: str
    record: str


NETWORKS = Table(
    "networks",
    NetworkRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            tag {text} NOT NULL,
            record {text} NOT NULL
        ) {clustered}
        """,
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the table."""
    event = recorded.event
    if not isinstance(event, NetworkEvent):
        return
    networks = tables(NETWORKS)
    name = event.originator_id.partition("/")[2]
    match event:
        case events.Created():
            record = encoded(name, event.type, event.options)
            networks.put(NetworkRow(name, tag(recorded, VERSION), record.decode()))
        case events.Removed():
            networks.delete(name)
        case events.TakenUp() | events.Released():
            pass  # not part of the record
        case _:
            raise TypeError(f"the networks projection does not know {event.TOPIC}")


def encoded(name: str, kind: str, options: Options) -> bytes:
    """The record of a network, or of a container manager."""
    return orjson.dumps({"name": name, "type": kind, "options": options})


PROJECTION = Projection("networks", VERSION, (NETWORKS,), (NetworkEvent,), project)

BUILT_IN = Answer(encoded(DEFAULT_NETWORK, DEFAULT_TYPE, {}), "built-in")


# Queries


def network(tx: Transaction, name: str) -> Answer | None:
    """The record of one network."""
    if name == DEFAULT_NETWORK:
        return BUILT_IN
    found = tx.execute("SELECT record, tag FROM networks WHERE name = ?", (name,)).fetchone()
    return Answer(found[0].encode(), found[1]) if found else None


def names(tx: Transaction) -> bytes:
    """A JSON list of all names, sorted, with the built-in one."""
    rows = tx.execute("SELECT name FROM networks").fetchall()
    return orjson.dumps(sorted([DEFAULT_NETWORK, *(row[0] for row in rows)]))
