"""Folds what happens to hosts into the rows of the fleet."""

from typing import NamedTuple

import orjson

from domain.aggregates import host_events as events
from domain.aggregates.host_events import HostEvent
from domain.event import Recorded
from projections.fleet.tables import (
    FLEET_COUNTS,
    FLEET_HOSTS,
    HOST_LABELS,
    UNKNOWN,
    FleetCountRow,
    FleetHostRow,
    HostLabelRow,
    facts_shown,
)
from projections.projection import Projection
from projections.tables import Rows, TableAccess

VERSION = 2
HANDLES = (
    events.Registered,
    events.Removed,
    events.JoinedCluster,
    events.LeftCluster,
    events.FactsGathered,
    events.FactsSourced,
    events.Bootstrapped,
    events.Activated,
    events.Failed,
    events.Recovered,
    events.LabelsChanged,
    events.UpdatesFound,
)
FACTS = ("os", "cpus", "memory", "space", "kernel", "booted_at")
SOURCED = ("os", "cpus", "memory", "space")


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    if not isinstance(event, HANDLES):
        return
    hosts, counts = tables(FLEET_HOSTS), tables(FLEET_COUNTS)
    address = event.originator_id.partition("/")[2]
    row = hosts.get(address)
    if isinstance(event, events.Registered):
        row = FleetHostRow(
            address, "investigating", "", "", "", event.at, UNKNOWN, "", "", event.source,
            "{}", "{}", "{}", "", "",
        )  # fmt: skip
    elif row is None:
        raise LookupError(f"{event.TOPIC} at {recorded.position}: {address} is not registered")
    else:
        before = _counted_by(row)
        if isinstance(event, events.Removed):
            _count(counts, before, -1)
            _put_labels(tables(HOST_LABELS), row, {})
            hosts.delete(address)
            return
        _fold(row, event, tables(HOST_LABELS))
        if _counted_by(row) == before:
            hosts.put(row)
            return
        _count(counts, before, -1)
    _count(counts, _counted_by(row), +1)
    hosts.put(row)


def _fold(row: FleetHostRow, event: HostEvent, labels: Rows[HostLabelRow]) -> None:
    match event:
        case events.FactsGathered():
            row.said = orjson.dumps({name: getattr(event, name) for name in FACTS}).decode()
            row.os = facts_shown(row).get("os", "")
            row.reboot_needed = UNKNOWN if event.reboot_needed is None else int(event.reboot_needed)
            row.last_check = event.at
            if row.status == "investigating":
                _become(row, "bootstrapping", event.at)
        case events.Failed():
            row.kind, row.reason, row.last_check = event.kind, event.reason, event.at
            _become(row, "failed", event.at)
        case events.Recovered():
            row.kind, row.reason, row.last_check = "", "", event.at
            _become(row, event.status, event.at)
        case events.JoinedCluster():
            row.cluster = event.cluster
        case events.LeftCluster():
            row.cluster = ""
            if row.status == "active":
                _become(row, "disassociated", event.at)
        case events.FactsSourced():
            said = {name: getattr(event, name) for name in SOURCED}
            row.sourced = orjson.dumps({k: v for k, v in said.items() if v is not None}).decode()
            row.os = facts_shown(row).get("os", "")
        case events.Bootstrapped():
            _become(row, "disassociated", event.at)
        case events.Activated():
            _become(row, "active", event.at)
        case events.UpdatesFound():
            found = {"all": event.all, "security": event.security, "at": event.at}
            row.updates = orjson.dumps(found).decode()
        case events.LabelsChanged():
            _put_labels(labels, row, event.labels)
        case _:
            raise TypeError(f"the fleet projection does not know {event.TOPIC}")


def _become(row: FleetHostRow, status: str, at: str) -> None:
    if row.status != status:
        row.status, row.since = status, at


def _put_labels(rows: Rows[HostLabelRow], row: FleetHostRow, labels: dict[str, str]) -> None:
    for label in _pairs(row.labels):
        rows.delete(f"{label} {row.address}")
    row.labels = orjson.dumps(labels).decode()
    for label in _pairs(row.labels):
        rows.put(HostLabelRow(f"{label} {row.address}", label, row.address))


def _pairs(labels: str) -> list[str]:
    """Labels in JSON, each as `key=value`."""
    return [f"{key}={value}" for key, value in orjson.loads(labels).items()]


class CountedBy(NamedTuple):
    """What a host is counted by."""

    status: str
    kind: str
    cluster: str
    os: str
    labels: str
    """As the row has them: JSON."""


def _counted_by(row: FleetHostRow) -> CountedBy:
    return CountedBy(row.status, row.kind, row.cluster, row.os, row.labels)


def _count(counts: Rows[FleetCountRow], host: CountedBy, by: int) -> None:
    """Count a host with others that are as it is: once among all, and once for each label."""
    alike = host[:4]
    for label in ("", *_pairs(host.labels)):
        key = "\x1f".join((label, *alike))
        found = counts.get(key) or FleetCountRow(key, label, *alike, 0)
        found.count += by
        if found.count:
            counts.put(found)
        else:
            counts.delete(key)


PROJECTION = Projection(
    "fleet", VERSION, (FLEET_HOSTS, HOST_LABELS, FLEET_COUNTS), HANDLES, project
)
