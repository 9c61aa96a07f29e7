"""The operations as GET serves them: one record for each, and one for each of its hosts."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, assert_never, get_args

import orjson

from domain.aggregates import operation_events as events
from domain.aggregates.cluster import Removed as ClusterRemoved
from domain.aggregates.operation_events import (
    AnyOperationEvent,
    Evidence,
    HostEvent,
    OperationEvent,
)
from domain.aggregates.rolling_policy import Kind, Options, Outcome
from domain.event import Recorded
from projections.projection import Projection, tag
from projections.tables import Rows, Table, TableAccess

VERSION = 5


@dataclass(slots=True)
class OperationRow:
    """One operation. `record` is what GET answers, up to its hosts; `position` gives the order."""

    id: str
    position: int
    cluster: str
    kind: str
    status: str
    actor: str
    is_over: int
    tag: str
    record: str


@dataclass(slots=True)
class OperationHostRow:
    """One host of one operation. `id` is that of the operation, a space, and the address."""

    id: str
    operation: str
    number: int
    address: str
    outcome: str
    record: str


@dataclass(slots=True)
class LatestRow:
    """The latest operation of a kind on a cluster, under the cluster's name, a space, the kind."""

    id: str
    operation: str


OPERATIONS = Table(
    "operations",
    OperationRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            position BIGINT NOT NULL,
            cluster {text} NOT NULL,
            kind {text} NOT NULL,
            status {text} NOT NULL,
            actor {text} NOT NULL,
            is_over BIGINT NOT NULL,
            tag {text} NOT NULL,
            record {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_position ON {table} (position)",
        "CREATE INDEX IF NOT EXISTS {table}_by_cluster ON {table} (cluster, position)",
        "CREATE INDEX IF NOT EXISTS {table}_by_end ON {table} (is_over, position)",
        "CREATE INDEX IF NOT EXISTS {table}_by_status ON {table} (status, position)",
        "CREATE INDEX IF NOT EXISTS {table}_by_kind ON {table} (kind, position)",
        "CREATE INDEX IF NOT EXISTS {table}_by_actor ON {table} (actor, position)",
        "CREATE INDEX IF NOT EXISTS {table}_by_kind_and_status ON {table} (kind, status, position)",
    ),
)

OPERATION_HOSTS = Table(
    "operation_hosts",
    OperationHostRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            operation {text} NOT NULL,
            number BIGINT NOT NULL,
            address {text} NOT NULL,
            outcome {text} NOT NULL,
            record {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_operation ON {table} (operation, number)",
        "CREATE INDEX IF NOT EXISTS {table}_by_outcome ON {table} (operation, outcome, number)",
        "CREATE INDEX IF NOT EXISTS {table}_by_address ON {table} (address, outcome)",
    ),
)

LATEST = Table(
    "latest_operations",
    LatestRow,
    ("CREATE TABLE IF NOT EXISTS {table} (id {text} PRIMARY KEY, operation {text} NOT NULL)",),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    if isinstance(event, ClusterRemoved):
        name = event.originator_id.partition("/")[2]
        for kind in get_args(Kind):  # a cluster of that name that comes back has had none
            tables(LATEST).delete(f"{name} {kind}")
    elif isinstance(event, OperationEvent):
        _project(recorded, event, tables)


def _project(recorded: Recorded, event: OperationEvent, tables: TableAccess) -> None:
    name = event.originator_id.partition("/")[2]
    operations, hosts = tables(OPERATIONS), tables(OPERATION_HOSTS)
    if isinstance(event, events.Started):
        tables(LATEST).put(LatestRow(f"{event.cluster} {event.kind}", name))
        row = _begin(recorded, event, name, hosts)
    else:
        found = operations.get(name)
        if found is None:
            raise LookupError(f"{event.TOPIC} at {recorded.position}: no operation {name}")
        row = found
    record = orjson.loads(row.record)
    _fold(event, name, record, hosts)
    _end_after_beginning(record)
    row.status, row.is_over = record["status"], int(record["finished_at"] is not None)
    row.tag = tag(recorded, VERSION)
    row.record = orjson.dumps(record).decode()
    operations.put(row)


def _begin(
    recorded: Recorded, event: events.Started, name: str, hosts: Rows[OperationHostRow]
) -> OperationRow:
    counts = dict.fromkeys(get_args(Outcome), 0)
    counts |= {"waiting": len(event.hosts), "skipped": len(event.skipped)}
    record = {
        "id": name,
        "kind": event.kind,
        "cluster": event.cluster,
        "version": event.version,
        "script_sha256": _digest(event.script),
        "targets": _targets(event),
        "options": Options(**event.options).plain(),  # those of before had fewer
        "status": "in_process",
        "cancelling": False,
        "reason": "",
        "actor": event.actor,
        "note": event.note,
        "predecessor": event.predecessor or None,
        "started_at": event.at,
        "finished_at": None,
        "waits_for": None,
        "wave": 1 if event.waves else None,
        "waves": _waves(event),
        "counts": counts,
    }
    everybody = [(address, "waiting", attempts, "") for address, attempts in event.hosts]
    everybody += [(address, "skipped", 0, reason) for address, reason in event.skipped]
    for number, (address, outcome, attempts, reason) in enumerate(everybody):
        of_host = {
            "address": address,
            "outcome": outcome,
            "step": None,
            "attempts": attempts,
            "started_at": None,
            "finished_at": None,
            "reason": reason,
            "evidence": {},
        }
        text = orjson.dumps(of_host).decode()
        hosts.put(OperationHostRow(f"{name} {address}", name, number, address, outcome, text))
    text = orjson.dumps(record).decode()
    kept = (event.cluster, event.kind, "in_process", event.actor, 0, "", text)
    return OperationRow(name, recorded.position, *kept)


def _waves(event: events.Started) -> list[dict[str, Any]]:
    """One for each wave and one for the rest, with how many hosts have had their turn after it."""
    if not event.waves:
        return []
    listed = [*Options(**event.options).waves, None]
    ends = [*event.waves, len(event.hosts)]
    return [
        {
            "hosts": end,
            "soak_s": rules["soak_s"] if rules else 0.0,
            "approval": rules["approval"] if rules else False,
            "began_at": None if number else event.at,
            "approved_by": None,
        }
        for number, (rules, end) in enumerate(zip(listed, ends, strict=True))
    ]


def _digest(script: str) -> str | None:
    return sha256(script.encode()).hexdigest() if script else None


def _targets(event: events.Started) -> dict[str, Any] | None:
    """The filters that it was begun with; of addresses only how many, as its hosts are they."""
    named = event.targets
    return {"hosts": len(named)} if isinstance(named, list) else named


def _fold(
    any_event: OperationEvent, name: str, record: dict[str, Any], hosts: Rows[OperationHostRow]
) -> None:
    event: AnyOperationEvent = any_event  # type: ignore[assignment] # the union of all subclasses
    match event:
        case events.Started() | events.StepSent() | events.Retried():
            pass  # by `_begin`; not part of any record
        case events.Paused():
            record["status"] = "paused"
        case events.Resumed():
            record["status"] = "in_process"
        case events.CancelRequested():
            record["status"], record["cancelling"] = "in_process", True
        case events.Ended():
            record |= {"status": event.status, "reason": event.reason, "finished_at": event.at}
            record["cancelling"], record["waits_for"] = False, None
        case events.Waits() | events.WaveStarted() | events.WaveApproved():
            _fold_waves(event, record)
        case events.HostUnwell() | events.HostWell():
            pass  # what follows is told by `Waits`
        case _:
            _fold_host(event, f"{name} {event.address}", record, hosts)


def _fold_host(
    event: HostEvent, key: str, record: dict[str, Any], hosts: Rows[OperationHostRow]
) -> None:
    counts = record["counts"]
    match event:
        case events.HostStarted():
            step = "reboot" if record["kind"] == "restart" else record["kind"]
            if event.container_manager and record["options"]["drain"]:
                step = "drain"
            changes = {"outcome": "in_process", "step": step, "started_at": event.at}
            _change(hosts, key, counts, changes, {})
            record["waits_for"] = None
        case events.StepWaits():
            _wait(hosts, key, counts, event.reason)
        case events.StepDone():
            changes = {"step": event.next} | _told(event.evidence)
            _change(hosts, key, counts, changes, event.evidence)
        case events.RebootRequested():
            before: Evidence = {"boot_id_before": event.boot_id}
            _change(hosts, key, counts, {}, before)
        case events.HostDone():
            changes = {"outcome": "done", "finished_at": event.at} | _told(event.evidence)
            _change(hosts, key, counts, changes, event.evidence)
        case events.HostFailed():
            _end(hosts, key, counts, "failed", event.reason, event)
        case events.HostUnknown():
            _end(hosts, key, counts, "unknown", event.reason, event)
        case _:
            assert_never(event)


def _fold_waves(
    event: events.Waits | events.WaveStarted | events.WaveApproved, record: dict[str, Any]
) -> None:
    match event:
        case events.Waits():
            told = {"what": event.what, "until": event.until, "reason": event.reason}
            record["waits_for"] = told if event.what else None
        case events.WaveStarted():
            record["wave"] = event.wave
            record["waves"][event.wave - 1]["began_at"] = event.at
        case events.WaveApproved():
            record["waves"][event.wave - 2]["approved_by"] = event.actor


def _told(evidence: Evidence) -> dict[str, Any]:
    """A reason beside a step that went well: what was kept back, say."""
    return {"reason": evidence["told"]} if "told" in evidence else {}


def _wait(hosts: Rows[OperationHostRow], key: str, counts: dict[str, int], reason: str) -> None:
    """What a step waits for; afterwards, what an earlier step had to tell."""
    row = hosts.get(key)
    told = orjson.loads(row.record)["evidence"].get("told", "") if row is not None else ""
    _change(hosts, key, counts, {"reason": reason or told}, {})


def _end(
    hosts: Rows[OperationHostRow],
    key: str,
    counts: dict[str, int],
    outcome: Outcome,
    reason: str,
    event: events.HostFailed | events.HostUnknown,
) -> None:
    changes = {"outcome": outcome, "reason": reason, "finished_at": event.at}
    _change(hosts, key, counts, changes, event.evidence)


def _end_after_beginning(record: dict[str, Any]) -> None:
    """A clock that was set back in between makes no end before its beginning."""
    if record["started_at"] and record["finished_at"]:
        record["finished_at"] = max(record["started_at"], record["finished_at"])


def _change(
    hosts: Rows[OperationHostRow],
    key: str,
    counts: dict[str, int],
    changes: dict[str, Any],
    evidence: Evidence,
) -> None:
    row = hosts.get(key)
    if row is None:
        raise LookupError(f"there is no host {key} in an operation")
    record = orjson.loads(row.record) | changes
    record["evidence"] |= evidence
    _end_after_beginning(record)
    if record["outcome"] != row.outcome:
        counts[row.outcome] -= 1
        counts[record["outcome"]] += 1
        record["attempts"] += record["outcome"] == "in_process"
        row.outcome = record["outcome"]
    row.record = orjson.dumps(record).decode()
    hosts.put(row)


PROJECTION = Projection(
    "operations",
    VERSION,
    (OPERATIONS, OPERATION_HOSTS, LATEST),
    (OperationEvent, ClusterRemoved),
    project,
)
