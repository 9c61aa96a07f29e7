"""The rows of the fleet: a host with all that is asked about it, its labels, and counts."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from projections.tables import Table

PROFILE_BYTES = 12
UNKNOWN = -1
"""`reboot_needed` where nobody can tell; else 0 or 1."""


@dataclass(slots=True)
class FleetHostRow:
    """One host. `head` is its record as JSON, up to what changes without an event.

    `os` is what is shown, and `said` has what the host says of itself: `sourced` may say otherwise.
    `updates` is JSON, or "" where nobody has looked for any.
    """

    address: str
    status: str
    kind: str
    cluster: str
    os: str
    since: str
    reboot_needed: int
    last_check: str
    reason: str
    source: str
    labels: str
    said: str
    sourced: str
    updates: str
    profile: str
    head: str


@dataclass(slots=True)
class HostLabelRow:
    """One label of one host; `id` is `label`, a space, and the address; `since` as of the host."""

    id: str
    label: str
    address: str
    since: str


@dataclass(slots=True)
class FleetCountRow:
    """How many hosts have all of this in common; `label` is `key=value`, or "" for all hosts."""

    id: str
    label: str
    status: str
    kind: str
    cluster: str
    os: str
    count: int


@dataclass(slots=True)
class FleetProfileRow:
    """How many hosts have all of this in common, their labels (JSON) among it."""

    id: str
    status: str
    kind: str
    cluster: str
    os: str
    reboot_needed: int
    labels: str
    count: int


class Profile(NamedTuple):
    """What a host is counted by."""

    status: str
    kind: str
    cluster: str
    os: str
    reboot_needed: int
    labels: str

    @property
    def id(self) -> str:
        """A name of it: a digest, since labels may be many."""
        content = orjson.dumps([*self])
        return blake2b(content, digest_size=PROFILE_BYTES).hexdigest()


def profile_of(row: FleetHostRow) -> Profile:
    """What a host is counted by: the same for labels that were given in another order."""
    labels = orjson.dumps(orjson.loads(row.labels), option=orjson.OPT_SORT_KEYS).decode()
    return Profile(row.status, row.kind, row.cluster, row.os, row.reboot_needed, labels)


# Any: facts are plain JSON.
def facts_shown(row: FleetHostRow) -> dict[str, Any]:
    """What the host says of itself, but for what its source says in its place."""
    facts: dict[str, Any] = orjson.loads(row.said)
    facts |= orjson.loads(row.sourced)
    return facts


def _derive(row: FleetHostRow) -> None:
    row.profile = profile_of(row).id
    facts = facts_shown(row)
    record = {
        "address": row.address,
        "status": row.status,
        "os": row.os,
        "cpus": facts.get("cpus", 0),
        "memory": facts.get("memory", 0),
        "space": facts.get("space", 0),
        "source": row.source,
        "cluster": row.cluster or None,
        "labels": orjson.loads(row.labels),
        "since": row.since,
        "kind": row.kind or None,
        "reason": row.reason or None,
        "kernel": facts.get("kernel") or None,
        "booted_at": facts.get("booted_at") or None,
        "reboot_needed": None if row.reboot_needed == UNKNOWN else bool(row.reboot_needed),
    }
    row.head = orjson.dumps(record)[:-1].decode()


FLEET_HOSTS = Table(
    "fleet_hosts",
    FleetHostRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            address {text} PRIMARY KEY,
            status {text} NOT NULL,
            kind {text} NOT NULL,
            cluster {text} NOT NULL,
            os {text} NOT NULL,
            since {text} NOT NULL,
            reboot_needed BIGINT NOT NULL,
            last_check {text} NOT NULL,
            reason {text} NOT NULL,
            source {text} NOT NULL,
            labels {text} NOT NULL,
            said {text} NOT NULL,
            sourced {text} NOT NULL,
            updates {text} NOT NULL,
            profile {text} NOT NULL,
            head {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_status ON {table} (status, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_kind ON {table} (kind, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_cluster ON {table} (cluster, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_os ON {table} (os, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_since ON {table} (since, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_reboot_needed ON {table} (reboot_needed, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_profile ON {table} (profile, address)",
    ),
    _derive,
)

HOST_LABELS = Table(
    "host_labels",
    HostLabelRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            label {text} NOT NULL,
            address {text} NOT NULL,
            since {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_label ON {table} (label, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_since ON {table} (label, since, address)",
        "CREATE INDEX IF NOT EXISTS {table}_by_address ON {table} (address)",
    ),
)

FLEET_COUNTS = Table(
    "fleet_counts",
    FleetCountRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            label {text} NOT NULL,
            status {text} NOT NULL,
            kind {text} NOT NULL,
            cluster {text} NOT NULL,
            os {text} NOT NULL,
            count BIGINT NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_label ON {table} (label)",
    ),
)

FLEET_PROFILES = Table(
    "fleet_profiles",
    FleetProfileRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            status {text} NOT NULL,
            kind {text} NOT NULL,
            cluster {text} NOT NULL,
            os {text} NOT NULL,
            reboot_needed BIGINT NOT NULL,
            labels {text} NOT NULL,
            count BIGINT NOT NULL
        ) {clustered}
        """,
    ),
)
