"""Folds what happens to hosts into the rows of the fleet."""

from typing import TypeVar

import orjson

from domain.aggregates import host_events as events
from domain.aggregates.host_events import HostEvent
from domain.event import Recorded
from projections.fleet.tables import (
    FLEET_COUNTS,
    FLEET_HOSTS,
    FLEET_PROFILES,
    HOST_LABELS,
    UNKNOWN,
    FleetCountRow,
    FleetHostRow,
    FleetProfileRow,
    HostLabelRow,
    Profile,
    facts_shown,
    profile_of,
)
from projections.projection import Projection
from projections.tables import Rows, TableAccess

VERSION = 3
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

C = TypeVar("C", FleetCountRow, FleetProfileRow)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    if not isinstance(event, HANDLES):
        return
    hosts = tables(FLEET_HOSTS)
    address = event.originator_id.partition("/")[2]
    row = hosts.get(address)
    if isinstance(event, events.Registered):
        row = FleetHostRow(
            address, "investigating", "", "", "", event.at, UNKNOWN, "", "", event.source,
            "{}", "{}", "{}", "", "", "",
        )  # fmt: skip
    elif row is None:
        raise LookupError(f"{event.TOPIC} at {recorded.position}: {address} is not registered")
    else:
        before = profile_of(row)
        if isinstance(event, events.Removed):
            _count(tables, before, -1)
            _put_labels(tables(HOST_LABELS), row, {})
            hosts.delete(address)
            return
        since = row.since
        _fold(row, event, tables(HOST_LABELS))
        if row.since != since:
            _put_labels(tables(HOST_LABELS), row, orjson.loads(row.labels))
        if profile_of(row) == before:
            hosts.put(row)
            return
        _count(tables, before, -1)
    _count(tables, profile_of(row), +1)
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
    before = set(_pairs(row.labels))
    row.labels = orjson.dumps(labels).decode()
    after = _pairs(row.labels)
    for label in before.difference(after):
        rows.delete(f"{label} {row.address}")
    for label in after:
        rows.put(HostLabelRow(f"{label} {row.address}", label, row.address, row.since))


def _pairs(labels: str) -> list[str]:
    """Labels in JSON, each as `key=value`."""
    return [f"{key}={value}" for key, value in orjson.loads(labels).items()]


def _count(tables: TableAccess, host: Profile, by: int) -> None:
    """Count a host with others that are as it is: all in all, and once for each label."""
    profiles = tables(FLEET_PROFILES)
    _put(profiles, profiles.get(host.id) or FleetProfileRow(host.id, *host, 0), by)
    counts = tables(FLEET_COUNTS)
    alike = host[:4]
    for label in ("", *_pairs(host.labels)):
        key = "\x1f".join((label, *alike))
        _put(counts, counts.get(key) or FleetCountRow(key, label, *alike, 0), by)


def _put(rows: Rows[C], row: C, by: int) -> None:
    row.count += by
    if row.count:
        rows.put(row)
    else:
        rows.delete(row.id)


PROJECTION = Projection(
    "fleet", VERSION, (FLEET_HOSTS, HOST_LABELS, FLEET_COUNTS, FLEET_PROFILES), HANDLES, project
)
