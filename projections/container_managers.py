"""The container managers as GET serves them, and the hosts that are their nodes."""

from dataclasses import dataclass

import orjson

from domain import container_manager as events
from domain.container_manager import ContainerManagerEvent
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.hosts import Answer
from projections.networks import encoded
from projections.projection import Projection, tag
from projections.tables import Opened, Table


@dataclass(slots=True)
class ContainerManagerRow:
    """One container manager. `record` is what GET answers."""

    name: str
    type: str
    tag: str
    record: str


@dataclass(slots=True)
class NodeRow:
    """A host that is a node. It is in one cluster at most, and so of one container manager."""

    address: str
    container_manager: str


CONTAINER_MANAGERS = Table(
    "container_managers",
    ContainerManagerRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            type {text} NOT NULL,
            tag {text} NOT NULL,
            record {text} NOT NULL
        ) {clustered}
        """,
    ),
)

NODES = Table(
    "nodes",
    NodeRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            address {text} PRIMARY KEY,
            container_manager {text} NOT NULL
        ) {clustered}
        """,
    ),
)


def project(recorded: Recorded, tables: Opened) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    if not isinstance(event, ContainerManagerEvent):
        return
    managers, nodes = tables(CONTAINER_MANAGERS), tables(NODES)
    name = event.originator_id.partition("/")[2]
    match event:
        case events.Created():
            record = encoded(name, event.type, event.options)
            managers.put(ContainerManagerRow(name, event.type, tag(recorded), record.decode()))
        case events.Removed():
            managers.delete(name)
        case events.NodeRegistered():
            nodes.put(NodeRow(event.address, name))
        case events.NodeRemoved():
            nodes.delete(event.address)
        case events.TakenUp() | events.Released():
            pass  # not part of the record
        case _:
            raise TypeError(f"the container managers projection does not know {event.TOPIC}")


PROJECTION = Projection(
    "container_managers", 1, (CONTAINER_MANAGERS, NODES), (ContainerManagerEvent,), project
)


# Queries


def container_manager(tx: Transaction, name: str) -> Answer | None:
    """The record of one container manager; its token is a mask."""
    sql = "SELECT record, tag FROM container_managers WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    return Answer(found[0].encode(), found[1]) if found else None


def names(tx: Transaction) -> bytes:
    """A JSON list of all names, sorted."""
    rows = tx.execute("SELECT name FROM container_managers ORDER BY name").fetchall()
    return orjson.dumps([row[0] for row in rows])
