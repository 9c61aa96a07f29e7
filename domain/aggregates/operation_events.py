"""What happens to a rolling operation, and to each of its hosts."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from domain.aggregates.rolling_policy import Kind, Options
from domain.event import Event
from domain.rollouts.moves import Status, WaitsFor

Step = Literal["", "drain", "upgrade", "deploy", "run", "reboot", "health", "uncordon"]
Evidence = dict[str, str | int | None]
"""What proves an outcome: exit status, boot ids, digest and size of the output, packages."""


Targets = list[str] | dict[str, Any] | None
"""Which members: addresses in order of joining, the filters as they were asked for, or all."""


class OperationEvent(Event):
    """Something that happened to an operation."""

    TOPIC = "operation"


@dataclass(frozen=True)
class Started(OperationEvent):
    """Somebody asked for it. `hosts` in order: address, and how often it was tried before.

    `skipped`: address, and why. `predecessor`: the operation that this one retries, or "".
    `targets`: the members that were asked for, the filters that they were asked for by, or `null`
    for all; others are neither in `hosts` nor in `skipped`. `members`: how many the cluster had;
    0 where it had no others. `waves`: how many hosts have had their turn at the end of each; what
    comes after the last is the rest. `script`: what a run runs.
    """

    TOPIC: ClassVar[str] = "operation.started"
    kind: Kind
    cluster: str
    version: str
    options: dict[str, Any]
    hosts: list[list[Any]]
    skipped: list[list[str]]
    predecessor: str
    members: int = 0
    targets: Targets = None
    waves: list[int] | None = None
    script: str = ""

    def must_be_understood(self) -> None:
        """Raise where it has options that this version does not know."""
        Options(**self.options)


@dataclass(frozen=True)
class HostStarted(OperationEvent):
    """The intent to take this host through its steps, within all limits. Once for each host.

    `container_manager`: whose node it is, where that is to be drained or asked for its health.
    """

    TOPIC: ClassVar[str] = "operation.host_started"
    address: str
    container_manager: str = ""


@dataclass(frozen=True)
class StepSent(OperationEvent):
    """The intent to run a step on a host that answers. Before this, nothing was sent to it."""

    TOPIC: ClassVar[str] = "operation.step_sent"
    address: str
    step: Step


@dataclass(frozen=True)
class StepWaits(OperationEvent):
    """A step that runs waits for something on its host, another package manager say.

    `reason` says what for; "" once it goes on.
    """

    TOPIC: ClassVar[str] = "operation.step_waits"
    address: str
    step: Step
    reason: str


@dataclass(frozen=True)
class StepDone(OperationEvent):
    """A step went well, and another follows."""

    TOPIC: ClassVar[str] = "operation.step_done"
    address: str
    step: Step
    next: Step
    evidence: Evidence


@dataclass(frozen=True)
class RebootRequested(OperationEvent):
    """The intent to reboot a host whose boot id is still this one."""

    TOPIC: ClassVar[str] = "operation.reboot_requested"
    address: str
    boot_id: str


@dataclass(frozen=True)
class HostDone(OperationEvent):
    """All steps of the host went well."""

    TOPIC: ClassVar[str] = "operation.host_done"
    address: str
    evidence: Evidence


@dataclass(frozen=True)
class HostFailed(OperationEvent):
    """A step of the host went wrong; `reason` is for people."""

    TOPIC: ClassVar[str] = "operation.host_failed"
    address: str
    reason: str
    evidence: Evidence


@dataclass(frozen=True)
class HostUnknown(OperationEvent):
    """What became of a step cannot be determined."""

    TOPIC: ClassVar[str] = "operation.host_unknown"
    address: str
    reason: str
    evidence: Evidence


@dataclass(frozen=True)
class Paused(OperationEvent):
    """Hosts in process finish; no other is started."""

    TOPIC: ClassVar[str] = "operation.paused"


@dataclass(frozen=True)
class Resumed(OperationEvent):
    """The operation was resumed."""

    TOPIC: ClassVar[str] = "operation.resumed"


@dataclass(frozen=True)
class CancelRequested(OperationEvent):
    """Steps that run are to be stopped; it is over when that is proved, or found to be unknown."""

    TOPIC: ClassVar[str] = "operation.cancel_requested"


@dataclass(frozen=True)
class Ended(OperationEvent):
    """The operation has ended; `reason` says why, where it is not simply finished."""

    TOPIC: ClassVar[str] = "operation.ended"
    status: Status
    reason: str


@dataclass(frozen=True)
class Waits(OperationEvent):
    """The operation starts no other host until something happens, or until a time.

    `reason` is for people. With `what` "" it waits for nothing but its own hosts any more; a host
    that is started, and its end, say so as well.
    """

    TOPIC: ClassVar[str] = "operation.waits"
    what: WaitsFor
    until: str | None
    reason: str


@dataclass(frozen=True)
class WaveStarted(OperationEvent):
    """All that stands before a wave is over: its hosts begin. The first needs no such event."""

    TOPIC: ClassVar[str] = "operation.wave_started"
    wave: int


@dataclass(frozen=True)
class WaveApproved(OperationEvent):
    """Somebody saw what became of the waves before this one, and says that it may begin."""

    TOPIC: ClassVar[str] = "operation.wave_approved"
    wave: int


@dataclass(frozen=True)
class HostUnwell(OperationEvent):
    """A host that was done is not active: no further wave begins, and no soak goes on."""

    TOPIC: ClassVar[str] = "operation.host_unwell"
    address: str
    reason: str


@dataclass(frozen=True)
class HostWell(OperationEvent):
    """It is active again: the soak of its wave begins anew."""

    TOPIC: ClassVar[str] = "operation.host_well"
    address: str


@dataclass(frozen=True)
class Retried(OperationEvent):
    """What it left undone is another operation's from now on."""

    TOPIC: ClassVar[str] = "operation.retried"
    operation: str


HostEvent = (
    HostStarted | StepWaits | StepDone | RebootRequested | HostDone | HostFailed | HostUnknown
)
"""What changes the record of a host."""
WaveEvent = Waits | WaveStarted | WaveApproved | HostUnwell | HostWell

AnyOperationEvent = (
    Started
    | HostStarted
    | StepSent
    | StepWaits
    | StepDone
    | RebootRequested
    | HostDone
    | HostFailed
    | HostUnknown
    | Paused
    | Resumed
    | CancelRequested
    | Ended
    | Retried
    | WaveEvent
)
