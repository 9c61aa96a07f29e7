"""What happens to a host."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from domain.aggregates.operation_events import Evidence
from domain.event import Event, LeaveReason

Status = Literal["", "investigating", "bootstrapping", "disassociated", "active", "failed"]

FailureKind = Literal["unreachable", "authentication", "host_key", "facts", "sudo", "setup"]


class HostEvent(Event):
    """Something that happened to a host."""

    TOPIC = "host"


@dataclass(frozen=True)
class Registered(HostEvent):
    """Somebody asked for this host to be looked after."""

    TOPIC: ClassVar[str] = "host.registered"
    address: str
    remote_user: str
    ssh_port: int
    key_fingerprint: str
    source: str = ""


@dataclass(frozen=True)
class Removed(HostEvent):
    """Nobody looks after this host any more; its credentials were destroyed."""

    TOPIC: ClassVar[str] = "host.removed"


@dataclass(frozen=True)
class JoinedCluster(HostEvent):
    """The host became a member, whatever its status."""

    TOPIC: ClassVar[str] = "host.joined_cluster"
    cluster: str


@dataclass(frozen=True)
class LeftCluster(HostEvent):
    """The host is in no cluster any more; a host that was active is disassociated by it."""

    TOPIC: ClassVar[str] = "host.left_cluster"
    class_version: ClassVar[int] = 2
    cluster: str
    reason: LeaveReason

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 did not say why."""
        state["reason"] = ""


@dataclass(frozen=True)
class KeyPinned(HostEvent):
    """First contact: from now on only this host key is trusted, also when the host is removed and
    registered again."""

    TOPIC: ClassVar[str] = "host.key_pinned"
    algorithm: str
    fingerprint: str


@dataclass(frozen=True)
class KeyRefused(HostEvent):
    """The host showed another key than the pinned one. Nothing was sent to it."""

    TOPIC: ClassVar[str] = "host.key_refused"
    fingerprint: str


@dataclass(frozen=True)
class KeyApproved(HostEvent):
    """An administrator vouches for this host key; it replaces the pinned one."""

    TOPIC: ClassVar[str] = "host.key_approved"
    fingerprint: str


@dataclass(frozen=True)
class KeyForgotten(HostEvent):
    """The pinned host key is dropped; the next contact pins anew."""

    TOPIC: ClassVar[str] = "host.key_forgotten"


@dataclass(frozen=True)
class FactsGathered(HostEvent):
    """What the host says of itself. `memory` and `space` (root file system) in kilobytes.

    `booted_at` in UTC; it moves with the host's clock, and only a change of the others is news.
    `reboot_needed`: None where it cannot tell. Older versions did not ask for the last three.
    """

    TOPIC: ClassVar[str] = "host.facts_gathered"
    os: str
    os_version: str
    cpus: int
    memory: int
    space: int
    boot_id: str
    kernel: str = ""
    booted_at: str = field(default="", compare=False)
    reboot_needed: bool | None = None


@dataclass(frozen=True)
class UpdatesFound(HostEvent):
    """So many updates wait on the host: packages, or one tree where it is booted from OSTree.

    `security`: how many of them mend a weakness; None where its system does not tell.
    """

    TOPIC: ClassVar[str] = "host.updates_found"
    all: int
    security: int | None


@dataclass(frozen=True)
class FactsSourced(HostEvent):
    """What the host's source says of it from now on; `None` is what it says nothing of.

    Where it says something, that wins over what the host says of itself. Kilobytes, as there.
    """

    TOPIC: ClassVar[str] = "host.facts_sourced"
    source: str
    os: str | None = None
    cpus: int | None = None
    memory: int | None = None
    space: int | None = None


@dataclass(frozen=True)
class BootstrapStepSent(HostEvent):
    """The intent to run a step of setting it up for a network; the host knows it as `run`."""

    TOPIC: ClassVar[str] = "host.bootstrap_step_sent"
    step: str
    run: str
    network: str


@dataclass(frozen=True)
class BootstrapStepDone(HostEvent):
    """A step went well. `changed` has what it wrote: `path`, `sha256`, `mode` and `owner` of each.

    `evidence`: exit status, digest and size of the output, which is beside the log.
    """

    TOPIC: ClassVar[str] = "host.bootstrap_step_done"
    step: str
    run: str
    changed: list[dict[str, str]]
    evidence: Evidence


@dataclass(frozen=True)
class BootstrapStepFailed(HostEvent):
    """A step went wrong, or was cut short; what it had written by then is `changed`, too."""

    TOPIC: ClassVar[str] = "host.bootstrap_step_failed"
    step: str
    run: str
    reason: str
    changed: list[dict[str, str]]
    evidence: Evidence


@dataclass(frozen=True)
class Bootstrapped(HostEvent):
    """The host is set up: disassociated until it is activated."""

    TOPIC: ClassVar[str] = "host.bootstrapped"


@dataclass(frozen=True)
class Activated(HostEvent):
    """A member that is set up takes part in its cluster."""

    TOPIC: ClassVar[str] = "host.activated"


@dataclass(frozen=True)
class Failed(HostEvent):
    """The host could not be reached, set up, or trusted; `reason` is for people."""

    TOPIC: ClassVar[str] = "host.failed"
    kind: FailureKind
    reason: str


@dataclass(frozen=True)
class Recovered(HostEvent):
    """A failed host answers again, and is what it was."""

    TOPIC: ClassVar[str] = "host.recovered"
    status: Status


@dataclass(frozen=True)
class LabelsChanged(HostEvent):
    """From now on the host has these labels, and no others."""

    TOPIC: ClassVar[str] = "host.labels_changed"
    labels: dict[str, str]


@dataclass(frozen=True)
class CheckRequested(HostEvent):
    """Somebody wants the host to be looked at now, whatever the pause.

    `updates`: also for updates that wait.
    """

    TOPIC: ClassVar[str] = "host.check_requested"
    updates: bool = False


@dataclass(frozen=True)
class CredentialsRead(HostEvent):
    """An administrator read the private key."""

    TOPIC: ClassVar[str] = "host.credentials_read"


@dataclass(frozen=True)
class CredentialsRotated(HostEvent):
    """From now on it is logged in to with these; the key before was destroyed."""

    TOPIC: ClassVar[str] = "host.credentials_rotated"
    key_fingerprint: str
    remote_user: str
    ssh_port: int


AnyHostEvent = (
    Registered
    | Removed
    | JoinedCluster
    | LeftCluster
    | KeyPinned
    | KeyRefused
    | KeyApproved
    | KeyForgotten
    | FactsGathered
    | UpdatesFound
    | FactsSourced
    | BootstrapStepSent
    | BootstrapStepDone
    | BootstrapStepFailed
    | Bootstrapped
    | Activated
    | Failed
    | Recovered
    | LabelsChanged
    | CheckRequested
    | CredentialsRead
    | CredentialsRotated
)
