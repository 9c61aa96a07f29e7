"""What the API answers, as far as it is used here; docs/http.md has all of it."""

from typing import Any, TypedDict

# Any: a record with whatever keys this or a later version of the service gives it.
Record = dict[str, Any]
Labels = dict[str, str]


class Updates(TypedDict):
    """How many updates wait, how many of them for security if that is told, and as of when."""

    all: int
    security: int | None
    at: str


class Host(TypedDict):
    """A wide record of a host: `/fleet/hosts`."""

    address: str
    status: str
    os: str
    cpus: int
    memory: int
    space: int
    source: str
    cluster: str | None
    labels: Labels
    since: str
    kind: str | None
    reason: str | None
    kernel: str | None
    booted_at: str | None
    reboot_needed: bool | None
    updates: Updates | None
    last_check: str
    next_check: str | None
    operation: str | None


class Members(TypedDict):
    """How many members a cluster has."""

    total: int
    available: int
    unavailable: int


class Cluster(TypedDict):
    """A cluster."""

    name: str
    status: str
    network: str
    container_manager: str
    hosts: Members


class OperationHost(TypedDict):
    """How far an operation is with one host."""

    address: str
    outcome: str
    step: str | None
    attempts: int
    started_at: str | None
    finished_at: str | None
    reason: str
    evidence: Record


class HeldLock(TypedDict):
    """A host that restarts by itself."""

    cluster: str
    address: str
    id: str
    since: str


class Wait(TypedDict):
    """What an operation as a whole waits for, until when, and why."""

    what: str
    until: str | None
    reason: str


class Operation(TypedDict):
    """An operation; `hosts` only where they were asked for."""

    id: str
    kind: str
    cluster: str
    version: str
    options: Record
    status: str
    cancelling: bool
    reason: str
    actor: str
    predecessor: str | None
    started_at: str
    finished_at: str | None
    waits_for: Wait | None
    wave: int | None
    waves: list[Record]
    counts: dict[str, int]


class Skipped(TypedDict):
    """A host that an operation would not take, and why."""

    address: str
    reason: str


class Plan(TypedDict, total=False):
    """What an operation would do; `plan` is the digest to start it with."""

    cluster: str
    kind: str
    version: str
    options: Record
    hosts: list[str]
    drained: list[str]
    skipped: list[Skipped]
    max_parallel: int
    max_failures: int
    max_unavailable: int | None
    waves: list[int]
    plan: str


class FailedHosts(TypedDict):
    """Hosts that failed in the same way."""

    kind: str
    count: int
    cure: str
    hosts: list[str]


class FleetHosts(TypedDict):
    """How many hosts there are, by what."""

    total: int
    status: dict[str, int]
    os: dict[str, int]
    cluster: dict[str, int]


class Fleet(TypedDict):
    """The state of everything, in small."""

    position: int
    hosts: FleetHosts
    failed: list[FailedHosts]
    operations: list[Record]
    locks: list[HeldLock]
    needs_a_person: list[Record]


class Checked(TypedDict):
    """Which hosts are looked at, and the position of the log to follow from."""

    hosts: list[str]
    position: int


class Event(TypedDict, total=False):
    """A CloudEvent."""

    id: str
    type: str
    subject: str
    time: str
    at: str
    actor: str
    correlationid: str
    note: str
    data: Record
