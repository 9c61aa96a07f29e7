"""The hosts as GET serves them: every record is encoded when it changes, not when it is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from domain.aggregates import host_events as events
from domain.aggregates.container_manager import TRIVIAL
from domain.aggregates.host_events import HostEvent
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.projection import Projection, tag
from projections.tables import Table, TableAccess

VERSION = 3
ALL = "hosts"
"""The key of the row that says when anything in the list changed last."""


@dataclass(slots=True)
class HostRow:
    """One host. `head` is its record up to the time of the last check, as JSON.

    `os` to `space` are what it says of itself; `sourced` is what its source says in place of some
    of these, as a JSON object.
    """

    address: str
    status: str
    cluster: str
    os: str
    cpus: int
    memory: int
    space: int
    last_check: str
    source: str
    sourced: str
    failure_kind: str
    tag: str
    head: str


@dataclass(slots=True)
class HostListRow:
    """When the list of hosts changed last."""

    name: str
    tag: str


def _derive(row: HostRow) -> None:
    record: dict[str, str | int] = {
        "address": row.address,
        "status": row.status,
        "os": row.os,
        "cpus": row.cpus,
        "memory": row.memory,
        "space": row.space,
    }
    encoded = orjson.dumps(record | orjson.loads(row.sourced))
    row.head = encoded[:-1].decode() + ',"last_check":"'


HOSTS = Table(
    "hosts",
    HostRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            address {text} PRIMARY KEY,
            status {text} NOT NULL,
            cluster {text} NOT NULL,
            os {text} NOT NULL,
            cpus BIGINT NOT NULL,
            memory BIGINT NOT NULL,
            space BIGINT NOT NULL,
            last_check {text} NOT NULL,
            source {text} NOT NULL,
            sourced {text} NOT NULL,
            failure_kind {text} NOT NULL,
            tag {text} NOT NULL,
            head {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_status ON {table} (status, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_cluster ON {table} (cluster, address)",
    ),
    _derive,
)

HOST_LIST = Table(
    "host_list",
    HostListRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            tag {text} NOT NULL
        ) {clustered}
        """,
    ),
)


UNSEEN = (
    events.LabelsChanged,
    events.CheckRequested,
    events.UpdatesFound,
    events.KeyPinned,
    events.KeyRefused,
    events.KeyApproved,
    events.KeyForgotten,
    events.CredentialsRead,
    events.CredentialsRotated,
    events.BootstrapStepSent,
    events.BootstrapStepDone,
    events.BootstrapStepFailed,
)
"""What happens to a host and is no part of its record: it moves the validators only."""


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    if not isinstance(event, HostEvent):
        return
    hosts = tables(HOSTS)
    address = event.originator_id.partition("/")[2]
    changed = tag(recorded, VERSION)
    tables(HOST_LIST).put(HostListRow(ALL, changed))
    if isinstance(event, events.Removed):
        hosts.delete(address)
        return
    row = _fresh(address) if isinstance(event, events.Registered) else hosts.get(address)
    if row is None:
        raise LookupError(f"{event.TOPIC} at {recorded.position}: {address} is not registered")
    _fold(row, event)
    row.tag = changed
    hosts.put(row)


def _fresh(address: str) -> HostRow:
    return HostRow(address, "investigating", "", "", 0, 0, 0, "", "", "{}", "", "", "")


def _fold(row: HostRow, event: HostEvent) -> None:
    match event:  # what happens most comes first: each case is asked in turn
        case events.FactsGathered():
            row.os, row.cpus = event.os, event.cpus
            row.memory, row.space = event.memory, event.space
            row.last_check = event.at
            if row.status == "investigating":
                row.status = "bootstrapping"
        case events.Failed():
            row.status, row.failure_kind, row.last_check = "failed", event.kind, event.at
        case events.Recovered():
            row.status, row.failure_kind, row.last_check = event.status, "", event.at
        case events.Registered():
            row.source = event.source
        case events.JoinedCluster():
            row.cluster = event.cluster
        case events.LeftCluster():
            row.cluster = ""
            if row.status == "active":
                row.status = "disassociated"
        case events.FactsSourced():
            said = {name: getattr(event, name) for name in ("os", "cpus", "memory", "space")}
            row.sourced = orjson.dumps({k: v for k, v in said.items() if v is not None}).decode()
        case events.Bootstrapped():
            row.status = "disassociated"
        case events.Activated():
            row.status = "active"
        case _ if isinstance(event, UNSEEN):
            pass
        case _:
            raise TypeError(f"the hosts projection does not know {event.TOPIC}")


PROJECTION = Projection("hosts", VERSION, (HOSTS, HOST_LIST), (HostEvent,), project)


# Queries


class Answer(NamedTuple):
    """A body to serve as it is, and the validator of its ETag."""

    body: bytes
    tag: str


ONE = """
    SELECT h.head, h.last_check, b.last_check, h.source, h.tag
    FROM hosts h LEFT JOIN heartbeats b ON b.address = h.address
    WHERE h.address = ?
"""
STATUS = """
    SELECT h.status, h.last_check, b.last_check, h.tag, m.type, r.report, s.at
    FROM hosts h LEFT JOIN heartbeats b ON b.address = h.address
    LEFT JOIN nodes n ON n.address = h.address
    LEFT JOIN container_managers m ON m.name = n.container_manager
    LEFT JOIN node_reports r
    ON r.address = h.address AND r.container_manager = n.container_manager
    LEFT JOIN node_reports_at s ON s.container_manager = n.container_manager
    WHERE h.address = ?
"""


def host(tx: Transaction, address: str) -> Answer | None:
    """The record of one host, with its source."""
    found = tx.execute(ONE, (address,)).fetchone()
    if found is None:
        return None
    head, checked, seen, source, changed = found
    last_check = later(checked, seen)
    body = f'{head}{last_check}","source":{orjson.dumps(source).decode()}}}'
    return Answer(body.encode(), changed)


class HostStatus(NamedTuple):
    """The status record of a host: with what its container manager said last, and without.

    `said_at`: when that was said, or "" where nothing was.
    """

    bare: Answer
    reported: Answer
    said_at: str

    def unless_said_before(self, oldest: str) -> Answer:
        """What there is to say, if what was said before a time says nothing any more."""
        return self.reported if self.said_at >= oldest else self.bare


def cluster_of(tx: Transaction, address: str) -> str:
    """The cluster that a host is a member of; "" for none, and for no host."""
    found = tx.execute("SELECT cluster FROM hosts WHERE address = ?", (address,)).fetchone()
    return str(found[0]) if found else ""


def host_status(tx: Transaction, address: str) -> HostStatus | None:
    """The status record of one host.

    Becoming a node, or none, comes with an event of the host, so its tag covers that too.
    """
    found = tx.execute(STATUS, (address,)).fetchone()
    if found is None:
        return None
    status, checked, seen, changed, kind, report, said_at = found
    last_check = later(checked, seen)

    def answer(said: str, validator: str) -> Answer:
        head = orjson.dumps({"last_check": last_check, "status": status}).decode()
        body = f'{{"type":"host_only","host":{head},"container_manager":{said}}}'
        return Answer(body.encode(), validator)

    if kind == TRIVIAL:  # nobody else to ask: what the log says of its nodes is so
        bare = answer(orjson.dumps({"node": address, "status": "ok"}).decode(), changed)
        return HostStatus(bare, bare, "")
    bare = answer("{}", changed)
    if not report or not said_at:
        return HostStatus(bare, bare, "")
    tagged = f"{changed}-{crc32(report.encode()):08x}"
    return HostStatus(bare, answer(report, tagged), said_at)


class Filter(NamedTuple):
    """Which hosts of the list. `None` means any."""

    status: str | None = None
    cluster: str | None = None
    after: str | None = None
    limit: int | None = None


def hosts(tx: Transaction, which: Filter) -> bytes:
    """A JSON list of host records without `source`, sorted by address."""
    conditions, params = ["1 = 1"], []
    for column, wanted, operator in (
        ("h.status", which.status, "="),
        ("h.cluster", which.cluster, "="),
        ("h.address", which.after, ">"),
    ):
        if wanted is not None:
            conditions.append(f"{column} {operator} ?")
            params.append(wanted)
    limit = "" if which.limit is None else f" LIMIT {int(which.limit)}"
    sql = f"""
        SELECT h.head, h.last_check, b.last_check
        FROM hosts h LEFT JOIN heartbeats b ON b.address = h.address
        WHERE {" AND ".join(conditions)} ORDER BY h.address{limit}
    """  # noqa: S608 - every value is bound
    return _list(tx.execute(sql, params).fetchall())


def _list(rows: Sequence[Any]) -> bytes:
    records = [f'{head}{later(checked, seen)}"}}' for head, checked, seen in rows]
    return f"[{','.join(records)}]".encode()


def list_tag(tx: Transaction) -> str:
    """The validator of every list of hosts."""
    found = tx.execute(f"SELECT tag FROM host_list WHERE name = '{ALL}'").fetchone()  # noqa: S608
    return str(found[0]) if found else "0"


def addresses(tx: Transaction, statuses: Sequence[str]) -> list[tuple[str, str]]:
    """Hosts of these statuses: address and kind of failure, sorted by address."""
    marks = ", ".join("?" * len(statuses))
    sql = f"""
        SELECT address, failure_kind FROM hosts WHERE status IN ({marks}) ORDER BY address
    """  # noqa: S608 - marks only
    return [(row[0], row[1]) for row in tx.execute(sql, tuple(statuses)).fetchall()]


def sourced(tx: Transaction) -> list[tuple[str, str]]:
    """Hosts that a source owns: address and name of the source, sorted by address."""
    sql = "SELECT address, source FROM hosts WHERE source <> '' ORDER BY address"
    return [(row[0], row[1]) for row in tx.execute(sql).fetchall()]


def later(checked: str, seen: str | None) -> str:
    """When a host was checked last: by an event, or a heartbeat after it."""
    # What was seen before the first check is of another registration of this address.
    return max(checked, seen) if seen and checked else checked
