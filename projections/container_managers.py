"""The container managers as GET serves them, and the hosts that are their nodes."""

from dataclasses import dataclass
from typing import Any, NamedTuple, assert_never

import orjson

from domain.aggregates import container_manager_events as events
from domain.aggregates.container_manager import TRIVIAL
from domain.aggregates.container_manager_events import (
    AnyContainerManagerEvent,
    ContainerManagerEvent,
)
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.hosts import Answer
from projections.networks import encoded
from projections.projection import Projection, tag
from projections.tables import Rows, Table, TableAccess

OfANode = (
    events.NodeWanted
    | events.NodeRegistered
    | events.NodeUnwanted
    | events.NodeRemoved
    | events.NodeGivenUp
    | events.UncordonWanted
    | events.NodeUncordoned
)

VERSION = 2


@dataclass(slots=True)
class ContainerManagerRow:
    """One container manager. `record` is what GET answers, unless it is `leaving`."""

    name: str
    type: str
    leaving: int
    tag: str
    record: str


@dataclass(slots=True)
class NodeRow:
    """A host that is a node. It is in one cluster at most, and so of one container manager."""

    address: str
    container_manager: str


@dataclass(slots=True)
class NodeChangeRow:
    """What is still to be told of a host: `wish` is `register`, `remove`, or "".

    `id` is the name of the container manager, a space, and the address. `mark` is what a node that
    we registered carries; `uncordon`: the operations whose cordons are to be taken away, or "".
    """

    id: str
    position: int
    container_manager: str
    address: str
    wish: str
    cluster: str
    mark: str
    uncordon: str


CONTAINER_MANAGERS = Table(
    "container_managers",
    ContainerManagerRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            type {text} NOT NULL,
            leaving BIGINT NOT NULL,
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


WISHES = Table(
    "node_wishes",
    NodeChangeRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            position BIGINT NOT NULL,
            container_manager {text} NOT NULL,
            address {text} NOT NULL,
            wish {text} NOT NULL,
            cluster {text} NOT NULL,
            mark {text} NOT NULL,
            uncordon {text} NOT NULL
        )
        """,
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    if not isinstance(recorded.event, ContainerManagerEvent):
        return
    event: AnyContainerManagerEvent = recorded.event  # type: ignore[assignment] # all subclasses
    managers = tables(CONTAINER_MANAGERS)
    name = event.originator_id.partition("/")[2]
    match event:
        case events.Created():
            record = encoded(name, event.type, event.options).decode()
            managers.put(ContainerManagerRow(name, event.type, 0, tag(recorded, VERSION), record))
        case events.RemovalStarted():
            row = managers.get(name)
            if row is None:
                raise LookupError(f"{event.TOPIC} at {recorded.position}: there is no {name}")
            row.leaving = 1
            managers.put(row)
        case events.Removed():
            managers.delete(name)
        case events.TakenUp() | events.Released():
            pass  # not part of the record
        case (
            events.NodeWanted()
            | events.NodeRegistered()
            | events.NodeUnwanted()
            | events.NodeRemoved()
            | events.NodeGivenUp()
            | events.UncordonWanted()
            | events.NodeUncordoned()
        ):
            _project_node(recorded.position, name, event, tables)
        case _:
            raise TypeError(f"the container managers projection does not know {event.TOPIC}")


def _project_node(position: int, name: str, event: OfANode, tables: TableAccess) -> None:
    nodes, wishes, address = tables(NODES), tables(WISHES), event.address
    key = f"{name} {address}"
    row = wishes.get(key) or NodeChangeRow(key, position, name, address, "", "", "", "")
    match event:
        case events.NodeWanted():
            row.wish, row.cluster, row.mark = "register", event.cluster, event.mark
        case events.NodeRegistered():
            nodes.put(NodeRow(address, name))
            row.wish = ""
        case events.NodeUnwanted():
            _forget_node(nodes, name, address)
            row.wish, row.mark, row.uncordon = "remove", event.mark, ""
        case events.NodeRemoved() | events.NodeGivenUp():
            _forget_node(nodes, name, address)
            row.wish = row.uncordon = ""
        case events.UncordonWanted():
            row.uncordon = event.operation
        case events.NodeUncordoned():
            row.uncordon = ""
        case _:
            assert_never(event)
    if row.wish or row.uncordon:
        wishes.put(row)
    else:
        wishes.delete(key)


def _forget_node(nodes: Rows[NodeRow], name: str, address: str) -> None:
    """Where it is one of that container manager: it may have become one of another meanwhile."""
    row = nodes.get(address)
    if row is not None and row.container_manager == name:
        nodes.delete(address)


PROJECTION = Projection(
    "container_managers",
    VERSION,
    (CONTAINER_MANAGERS, NODES, WISHES),
    (ContainerManagerEvent,),
    project,
)


# Queries


def container_manager(tx: Transaction, name: str) -> Answer | None:
    """The record of one container manager; its token is a mask."""
    sql = "SELECT record, tag FROM container_managers WHERE name = ? AND leaving = 0"
    found = tx.execute(sql, (name,)).fetchone()
    return Answer(found[0].encode(), found[1]) if found else None


def names(tx: Transaction) -> bytes:
    """A JSON list of all names, sorted."""
    sql = "SELECT name FROM container_managers WHERE leaving = 0 ORDER BY name"
    return orjson.dumps([row[0] for row in tx.execute(sql).fetchall()])


class Known(NamedTuple):
    """A container manager, as those who speak to it know it."""

    type: str
    tag: str
    """Another one for each that had this name."""
    options: dict[str, Any]


def known(tx: Transaction, name: str) -> Known | None:
    """How to speak to a container manager, also to one that is leaving; its token is a mask."""
    sql = "SELECT type, tag, record FROM container_managers WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    return Known(found[0], found[1], orjson.loads(found[2])["options"]) if found else None


def leaving(tx: Transaction) -> list[str]:
    """The names of those that are gone as soon as they were told what they are to be told."""
    sql = "SELECT name FROM container_managers WHERE leaving = 1 ORDER BY name"
    return [row[0] for row in tx.execute(sql).fetchall()]


def pending_node_changes(tx: Transaction) -> list[tuple[str, str]]:
    """Container manager and address of all that is still to be told, the oldest first."""
    sql = "SELECT container_manager, address FROM node_wishes ORDER BY position, id"
    return [(row[0], row[1]) for row in tx.execute(sql).fetchall()]


def pending_node_change(tx: Transaction, name: str, address: str) -> NodeChangeRow | None:
    """What is still to be told to a container manager of a host."""
    found = tx.execute(WISHES.select, (f"{name} {address}",)).fetchone()
    return NodeChangeRow(*found) if found else None


def without_node_change(tx: Transaction) -> list[str]:
    """Members that are set up, and of which nobody told their container manager."""
    sql = f"""
        SELECT h.address FROM hosts h
        JOIN clusters c ON c.name = h.cluster
        JOIN container_managers m ON m.name = c.container_manager AND m.type <> '{TRIVIAL}'
        LEFT JOIN node_wishes w ON w.address = h.address AND w.container_manager = m.name
        WHERE h.status = 'disassociated' AND w.id IS NULL
    """  # noqa: S608 - a constant of ours
    return [row[0] for row in tx.execute(sql).fetchall()]
