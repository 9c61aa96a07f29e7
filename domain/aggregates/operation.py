"""A rolling operation takes the hosts of a cluster through its steps, a few at a time.

in_process ⇄ paused, → finished | partial | failed, and → cancelling → cancelled.
Each host: waiting → in_process → done | failed | unknown; or skipped from the start. Its steps:
(drain →) upgrade | deploy | run (→ reboot), or reboot → (health →) (uncordon →) done.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from domain.aggregates import rolling_policy
from domain.aggregates.host_progress import HostProgress
from domain.aggregates.operation_events import (
    AnyOperationEvent,
    CancelRequested,
    Ended,
    Evidence,
    HostDone,
    HostFailed,
    HostStarted,
    HostUnknown,
    Paused,
    RebootRequested,
    Resumed,
    Retried,
    Started,
    Step,
    StepDone,
    StepSent,
    StepWaits,
    Targets,
    Waits,
)
from domain.aggregates.operation_progress import OperationProgress
from domain.aggregates.rolling_policy import (
    DRAIN_TIMEOUT_S,
    STEP_TIMEOUT_S,
    Kind,
    Limits,
    Options,
)
from domain.refusal import conflict, not_found
from domain.rollouts.moves import Status
from domain.rollouts.waves import Wave

State = Literal[
    "", "in_process", "paused", "cancelling", "finished", "partial", "failed", "cancelled"
]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"in_process"}),
    "in_process": frozenset({"paused", "cancelling", "finished", "partial", "failed"}),
    "paused": frozenset({"in_process", "cancelling", "finished", "partial", "failed"}),
    "cancelling": frozenset({"cancelled"}),
    "finished": frozenset(),
    "partial": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""The life cycle: which state follows which. "" is an operation that does not exist."""

OVER: frozenset[State] = frozenset({"finished", "partial", "failed", "cancelled"})


@dataclass(frozen=True)
class OperationRequest:
    """What a client asks for; two that are equal ask for the same."""

    kind: Kind
    cluster: str
    version: str
    options: Options
    targets: Targets = None
    script: str = ""


class Operation(OperationProgress):
    """One deploy, upgrade, restart or run of a script, of a cluster."""

    KIND = "operation"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.state: State = ""
        self.request = OperationRequest("restart", "", "", Options())
        self.predecessor = ""
        self.successor = ""
        self.members = 0
        self.changed_at = ""
        self.cancel_at = ""

    def must_exist(self) -> None:
        """Refuse what is asked of an operation that does not exist."""
        if self.state == "":
            raise not_found(f"There is no operation {self.name}.")

    @property
    def is_over(self) -> bool:
        """Whether the operation has a final status."""
        return self.state in OVER

    @property
    def is_cancelling(self) -> bool:
        """Whether what runs is being stopped."""
        return self.state == "cancelling"

    @cached_property
    def limits(self) -> Limits:
        """The limits in numbers of hosts, from the options."""
        return rolling_policy.limits(self.request.options, len(self.hosts), self.members)

    @property
    def step_timeout_s(self) -> float:
        """How long a step of a host may take."""
        return self.request.options.step_timeout_s or STEP_TIMEOUT_S[self.request.kind]

    @property
    def drain_timeout_s(self) -> float:
        """How long the pods of a node may take to leave."""
        return self.request.options.step_timeout_s or DRAIN_TIMEOUT_S

    def cordons(self, address: str) -> bool:
        """Whether the node of a host gets no further pods while its steps are taken."""
        return bool(self.request.options.drain and self.hosts[address].container_manager)

    @property
    def listed(self) -> list[Wave]:
        """The waves that it was begun with."""
        return self.request.options.waves

    # Commands

    def start(
        self,
        request: OperationRequest,
        hosts: list[tuple[str, int]],
        skipped: list[tuple[str, str]],
        predecessor: str = "",
        members: int = 0,
        waves: list[int] | None = None,
    ) -> None:
        """Begin. `hosts`: address and attempts before; `skipped`: address and why.

        `members`: how many the cluster has; `waves`: how many hosts are in each and all before.
        """
        taken, left = [list(host) for host in hosts], [list(host) for host in skipped]
        self.emit(
            Started(
                request.kind,
                request.cluster,
                request.version,
                request.options.plain(),
                taken,
                left,
                predecessor,
                members if members > len(taken) + len(left) else 0,
                request.targets,
                waves or None,
                request.script,
            )
        )

    def start_host(self, address: str, container_manager: str = "") -> None:
        """Take a host in hand; the policy decided that it is its turn."""
        self.emit(HostStarted(address, container_manager))

    def send_step(self, address: str, step: Step) -> None:
        """Say that the step is to be sent to the host. Said before is no news."""
        host = self._current_step(address, step)
        if host is not None and not host.sent:
            self.emit(StepSent(address, step))

    def wait(self, address: str, step: Step, reason: str) -> None:
        """Say what a step that runs waits for, "" once it goes on. The same again is no news."""
        host = self._current_step(address, step)
        if host is not None and host.waits_for != reason:
            self.emit(StepWaits(address, step, reason))

    def request_reboot(self, address: str, boot_id: str) -> None:
        """Say that the host is to be rebooted. Said before is no news."""
        host = self._current_step(address, "reboot")
        if host is not None and not host.boot_id:
            self.emit(RebootRequested(address, boot_id))

    def finish_step(self, address: str, step: Step, evidence: Evidence, *, reboot: bool) -> None:
        """A step went well. `reboot`: whether one is to follow the step. Twice is no news."""
        if self._current_step(address, step) is None:
            return
        following = self._after(address, step, reboot)
        if following:
            self.emit(StepDone(address, step, following, evidence))
        else:
            self.emit(HostDone(address, evidence))

    def _after(self, address: str, step: Step, reboot: bool) -> Step:
        if step == "drain":
            return self._first
        if step in ("upgrade", "deploy", "run") and reboot:
            return "reboot"
        if step not in ("health", "uncordon") and self.request.options.healthy_for_s:
            return "health"
        return "uncordon" if step != "uncordon" and self.cordons(address) else ""

    @property
    def _first(self) -> Step:
        """The step that the kind of operation is about."""
        return "reboot" if self.request.kind == "restart" else self.request.kind

    def leaves_cordoned(self, address: str, *, cut_short: bool) -> bool:
        """Whether a host that fails now may be broken, so that its node stays cordoned.

        What nothing was sent to, what went no further because somebody cancelled, and what was well
        in the end is as good as before; not so what was killed in the middle (`cut_short`).
        """
        host = self.hosts[address]
        untouched = host.step == "drain" or (host.step == self._first and not host.sent)
        may_be_broken = cut_short or self.state != "cancelling"
        return not untouched and host.step != "uncordon" and may_be_broken

    def is_at(self, address: str, step: Step) -> bool:
        """Whether that step of a host is what is in process."""
        return self._current_step(address, step) is not None

    def fail_host(self, address: str, step: Step, reason: str, evidence: Evidence) -> None:
        """Record that a step of the host failed."""
        if self._current_step(address, step) is not None:
            self.emit(HostFailed(address, reason, evidence))

    def mark_unknown(self, address: str, step: Step, reason: str, evidence: Evidence) -> None:
        """Nobody can tell what became of a step."""
        if self._current_step(address, step) is not None:
            self.emit(HostUnknown(address, reason, evidence))

    def _current_step(self, address: str, step: Step) -> HostProgress | None:
        """The host, if that step of it is what is in process: others may have been quicker."""
        host = self.hosts.get(address)
        same = host is not None and host.outcome == "in_process" and host.step == step
        return host if same else None

    def pause(self) -> None:
        """Start no other host. The same again is no news."""
        self._steer("paused", Paused())

    def resume(self) -> None:
        """Resume a paused operation."""
        self._steer("in_process", Resumed())

    def cancel(self) -> None:
        """Stop what runs, and start nothing more."""
        if self.state != "cancelled":
            self._steer("cancelling", CancelRequested())

    def _steer(self, state: State, event: AnyOperationEvent) -> None:
        self.must_exist()
        if self.state == state:
            return
        if state not in NEXT[self.state]:
            raise conflict(f"The operation is {self.state}: that cannot be changed any more.")
        self.emit(event)

    def retry(self, successor: str) -> None:
        """Leave to another operation what was not done."""
        self.emit(Retried(successor))

    def end(self, status: Status, reason: str) -> None:
        """End the operation with a final status."""
        self.emit(Ended(status, reason))

    # State

    def apply(self, event: AnyOperationEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Started():
                self._begin(event)
            case HostStarted():
                host = self.settle(event.address, "in_process")
                host.container_manager = event.container_manager
                host.step = "drain" if self.cordons(event.address) else self._first
                host.step_at = event.at
                host.attempts += 1
                self.go_on()
            case StepSent():
                self.hosts[event.address].sent = True
            case StepWaits():
                self.hosts[event.address].waits_for = event.reason
            case StepDone():
                host = self.hosts[event.address]
                host.step, host.step_at, host.sent = event.next, event.at, False
                host.evidence |= event.evidence
            case RebootRequested():
                host = self.hosts[event.address]
                host.boot_id, host.step_at, host.sent = event.boot_id, event.at, True
            case HostDone():
                self.settle(event.address, "done").evidence |= event.evidence
            case HostFailed():
                self.settle(event.address, "failed").evidence |= event.evidence
            case HostUnknown():
                self.settle(event.address, "unknown").evidence |= event.evidence
            case Paused():
                self._become("paused")
            case Resumed():
                self._become("in_process")
            case CancelRequested():
                self._become("cancelling")
                self.cancel_at = event.at
            case Ended():
                self._become(event.status)
                self.go_on()
            case Retried():
                self.successor = event.operation
            case _:
                self.apply_to_waves(event)
        if not isinstance(event, Waits):
            self.changed_at = event.at

    def _begin(self, event: Started) -> None:
        self._become("in_process")
        options = Options(**event.options)
        self.request = OperationRequest(
            event.kind, event.cluster, event.version, options, event.targets, event.script
        )
        self.members = event.members or len(event.hosts) + len(event.skipped)
        self.predecessor = event.predecessor
        self.begin(event)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state
