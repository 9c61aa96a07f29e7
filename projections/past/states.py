"""What the log says of the fleet, or of one subject, at a position; and what changed since another.

Records are those of the HTTP API, by the same projections and queries (`projections/past/past.py`).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from domain.log.engine import Engine
from domain.log.transaction import Transaction
from domain.names import host_address, quoted, resource_name
from domain.refusal import invalid
from projections import clusters, container_managers, hosts, networks, operation_reads, operations
from projections.fleet import queries
from projections.fleet.matching import HostFilter
from projections.hosts import Answer, Filter
from projections.past import checkpoints
from projections.past.past import FLEET, Past, Scratch, advance
from projections.projection import Projection

SEEN = ("last_check", "since", "next_check", "operation")
"""What says when a host was looked at, or is only known of now."""
HOSTS_MAX = 1_000_000
STEP_EVENTS = 10_000
"""After so many events whoever watches is told how far it is."""

# Any: records are plain JSON.
Record = dict[str, Any]
State = dict[str, Record]
"""Records by subject, such as `host/10.0.0.7`, sorted; what is not there has none."""


class Change(NamedTuple):
    """What differs of one subject. None where it is not there, else only the keys that differ."""

    subject: str
    before: Record | None
    after: Record | None


def fleet(engine: Engine, position: int, progress: Callable[[int], None]) -> State:
    """Clusters with their members, hosts, networks and container managers."""
    scratch = Scratch(FLEET)
    with engine.snapshot() as tx:
        checkpoints.resume(tx, scratch, position)
    while scratch.position < position:
        progress(scratch.position)
        advance(engine, scratch, min(position, scratch.position + STEP_EVENTS))
    return dict(_fleet(scratch.tx))


def wide(tx: Transaction) -> State:
    """Clusters with their members, and hosts with all that is known but when they were seen."""
    state = {f"cluster/{name}": _cluster(tx, name) for name in orjson.loads(clusters.names(tx))}
    every = queries.Page(limit=HOSTS_MAX)
    for record in orjson.loads(queries.hosts(tx, HostFilter(), every, past=True).body):
        state[f"host/{record['address']}"] = {
            key: value for key, value in record.items() if key not in SEEN
        }
    return state


def _fleet(tx: Transaction) -> Iterator[tuple[str, Record]]:
    for name in orjson.loads(clusters.names(tx)):
        yield f"cluster/{name}", _cluster(tx, name)
    for record in orjson.loads(hosts.hosts(tx, Filter())):
        yield f"host/{record['address']}", record
    for name in orjson.loads(networks.names(tx)):
        yield f"network/{name}", _loaded(networks.network(tx, name))
    for name in orjson.loads(container_managers.names(tx)):
        answer = container_managers.container_manager(tx, name)
        yield f"container_manager/{name}", _loaded(answer)


def _cluster(tx: Transaction, name: str) -> Record:
    """The record, with the members in order of joining."""
    members = clusters.members(tx, name)
    joined = orjson.loads(members.body) if members else []
    return _loaded(clusters.cluster(tx, name)) | {"members": joined}


def _loaded(answer: Answer | None) -> Record:
    return orjson.loads(answer.body) if answer else {}


def subject(engine: Engine, position: int, name: str) -> State:
    """One subject, from its own stream: at most one record."""
    kind, _, rest = name.partition("/")
    past = Past(engine)
    record: Record
    if kind == "cluster":
        record = past.cluster(position, _one_cluster, rest)
    else:
        projection, query = SUBJECTS[kind]
        record = _loaded(past.subject(projection, name, position, query, rest))
    return {name: record} if record else {}


def _one_cluster(tx: Transaction, name: str) -> Record:
    return {} if clusters.cluster(tx, name) is None else _cluster(tx, name)


SUBJECTS: dict[str, tuple[Projection, Callable[[Transaction, str], Answer | None]]] = {
    "host": (hosts.PROJECTION, hosts.host),
    "network": (networks.PROJECTION, networks.network),
    "container_manager": (container_managers.PROJECTION, container_managers.container_manager),
    "operation": (operations.PROJECTION, operation_reads.operation),
}


def known_subject(text: str) -> str:
    """A subject as the log names it. Refuses what can be none."""
    kind, _, name = text.partition("/")
    if kind not in (*SUBJECTS, "cluster") or not name:
        kinds = ", ".join(f"{known}/…" for known in ("cluster", *SUBJECTS))
        raise invalid(f"{quoted(text)} is no subject: one of {kinds}.")
    if kind == "operation":
        return text
    return f"{kind}/{host_address(name) if kind == 'host' else resource_name(name)}"


def difference(before: State, after: State) -> list[Change]:
    """What became of each subject that is not the same, in the order of their names."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        was, becomes = before.get(name), after.get(name)
        if was is None or becomes is None:
            found.append(Change(name, was, becomes))
        elif was != becomes:
            keys = [key for key in becomes if was.get(key) != becomes[key]]
            old, new = ({key: each.get(key) for key in keys} for each in (was, becomes))
            found.append(Change(name, old, new))
    return found
