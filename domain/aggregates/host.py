"""A host is registered, looked at over SSH, set up, and then works in a cluster or waits for one.

investigating → bootstrapping → disassociated ⇄ active, and failed from anywhere and back.
A host that was removed may be registered again: its stream goes on. What may happen to it is in
`domain/aggregates/host_events.py`.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from domain.aggregates.host_checks import CheckedHost
from domain.aggregates.host_events import (
    Activated,
    AnyHostEvent,
    Bootstrapped,
    BootstrapStepDone,
    BootstrapStepFailed,
    BootstrapStepSent,
    CheckRequested,
    CredentialsRead,
    CredentialsRotated,
    FactsGathered,
    FactsSourced,
    Failed,
    FailureKind,
    JoinedCluster,
    KeyApproved,
    KeyForgotten,
    KeyPinned,
    KeyRefused,
    LabelsChanged,
    LeftCluster,
    Recovered,
    Registered,
    Removed,
    Status,
    UpdatesFound,
)
from domain.aggregates.operation_events import Evidence
from domain.event import LeaveReason
from domain.refusal import conflict, not_found

NEXT: dict[Status, frozenset[Status]] = {
    "": frozenset({"investigating"}),
    "investigating": frozenset({"bootstrapping", "failed", ""}),
    "bootstrapping": frozenset({"disassociated", "failed", ""}),
    "disassociated": frozenset({"active", "failed", ""}),
    "active": frozenset({"disassociated", "failed", ""}),
    "failed": frozenset({"investigating", "bootstrapping", "disassociated", "active", ""}),
}
"""The life cycle: which status follows which. "" is a host that is not registered."""

READY: frozenset[Status] = frozenset({"disassociated", "active"})
"""Set up, and so free to join a cluster."""


AnyKeyEvent = KeyPinned | KeyRefused | KeyApproved | KeyForgotten


@dataclass(frozen=True)
class Registration:
    """What a registration says of a host, beside its key."""

    remote_user: str
    ssh_port: int
    source: str = ""


UNREGISTERED = Registration(remote_user="", ssh_port=0)


class Host(CheckedHost):
    """One machine of the fleet."""

    KIND = "host"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.incarnation = 0
        """The version at which it was registered last: what was learned before says nothing."""
        self.credentials = 0
        """The version since which its credentials are what they are."""
        self.pinned = ""
        """The host key that is trusted. It stays when the host is removed: else whoever may remove
        and register hosts would decide what is trusted."""
        self.pinned_algorithm = ""
        self._forget()

    def _forget(self) -> None:
        self.status: Status = ""
        self.was: Status = ""  # what a failed host returns to
        self.cluster = ""
        self.registration = UNREGISTERED
        self.fingerprint = ""  # of the key that it is reached with
        self.refused = ""  # the host key that was shown and not trusted
        self.failure: Failed | None = None
        self.sourced: FactsSourced | None = None
        self.labels: dict[str, str] = {}
        self._forget_checks()
        self.step: BootstrapStepSent | None = None
        """The step of setting it up that was sent, and of which nobody knows yet how it ended."""

    @property
    def registered(self) -> bool:
        """Whether somebody asked for it and nobody removed it since."""
        return self.status != ""

    @property
    def awaits_setup(self) -> bool:
        """Whether it was never set up since it was registered."""
        return not READY & {self.status, self.was} and self.registered

    @property
    def failed_in_setup(self) -> bool:
        """Whether a step of setting it up went wrong, and nothing since then went well."""
        failure = self.failure
        return self.was == "bootstrapping" and failure is not None and failure.kind == "setup"

    def must_exist(self) -> None:
        """Refuse what is asked of a host that is not registered."""
        if not self.registered:
            raise not_found(f"There is no host {self.name}: register it with PUT first.")

    def must_have_key(self) -> None:
        """Refuse what is asked of the host key, where there is neither a host nor a key of it."""
        if not self.pinned:
            self.must_exist()

    # Commands

    def register(self, registration: Registration, key_fingerprint: str) -> None:
        """Register the host, or the same again, which is no event."""
        user, port, source = registration.remote_user, registration.ssh_port, registration.source
        self.emit(Registered(self.name, user, port, key_fingerprint, source))

    def remove(self, *, forget_key: bool = False) -> None:
        """Look after it no longer; it must have left its cluster before."""
        self.must_exist()
        if forget_key and self.pinned:
            self.emit(KeyForgotten())
        self.emit(Removed())

    def join_cluster(self, cluster: str) -> None:
        """Become a member. A host that is in a cluster already cannot join another."""
        if self.cluster == cluster:
            return
        if self.cluster:
            raise conflict(f"{self.name} is in cluster {self.cluster}: remove it from there first.")
        self.emit(JoinedCluster(cluster))

    def must_be_ready(self) -> None:
        """Refuse a newcomer that is not set up."""
        if self.status not in READY:
            reason = f": {self.failure.reason}" if self.failure else ""
            raise conflict(
                f"{self.name} is {self.status}{reason}. Only a host that is set up"
                " (disassociated or active) can join a cluster."
            )

    def leave_cluster(self, reason: LeaveReason = "taken_out") -> None:
        """Take the host out of its cluster."""
        if self.cluster:
            self.emit(LeftCluster(self.cluster, reason))

    def pin_key(self, algorithm: str, fingerprint: str) -> None:
        """Trust the key of the first contact. A key that is pinned already stays."""
        if not self.pinned:
            self.emit(KeyPinned(algorithm, fingerprint))

    def refuse_key(self, fingerprint: str, reason: str) -> None:
        """The host showed another key: trust it no longer, until somebody approves that key."""
        if self.refused != fingerprint:
            self.emit(KeyRefused(fingerprint))
        self.fail("host_key", reason)

    def approve_key(self, fingerprint: str) -> None:
        """Vouch for a host key, in place of the pinned one."""
        self.must_have_key()
        if self.pinned != fingerprint:
            self.emit(KeyApproved(fingerprint))

    def forget_key(self) -> None:
        """Forget the pinned host key: the next contact pins another."""
        self.must_have_key()
        if self.pinned:
            self.emit(KeyForgotten())

    def gather_facts(self, facts: FactsGathered, *, recovers: bool = True) -> None:
        """Take what the host says of itself, and go on with setting it up.

        It recovers by that from a failure, unless that takes more than an answer.
        """
        if self.status == "failed" and recovers:
            self.emit(Recovered(self.was))
        if self.status == "investigating" or self.is_news(facts, self.act.at):
            self.emit(replace(facts))  # stamped, so no object that the caller has, too

    def supply_facts(self, facts: FactsSourced) -> None:
        """Take what its source says of it, which says nothing of its status."""
        if self.would_change(facts):
            self.emit(replace(facts))

    def would_change(self, facts: FactsSourced) -> bool:
        """Whether its source has never said just that."""
        return facts != (self.sourced or FactsSourced(facts.source))

    def send_step(self, step: str, run: str, network: str) -> bool:
        """Say that a step is about to be sent; False where that must not be."""
        if self.step is not None or "bootstrapping" not in (self.status, self.was):
            return False
        self.emit(BootstrapStepSent(step, run, network))
        return True

    def finish_step(self, run: str, changed: list[dict[str, str]], evidence: Evidence) -> None:
        """A step went well, and a host that had failed by it before has not any more."""
        if self.step is None or self.step.run != run:
            return
        if self.failed_in_setup:
            self.emit(Recovered(self.was))
        self.emit(BootstrapStepDone(self.step.step, run, changed, evidence))

    def fail_step(
        self, run: str, reason: str, changed: list[dict[str, str]], evidence: Evidence
    ) -> None:
        """A step went wrong, or was cut short."""
        if self.step is not None and self.step.run == run:
            self.emit(BootstrapStepFailed(self.step.step, run, reason, changed, evidence))

    def finish_bootstrap(self) -> None:
        """The host is set up, whatever had failed by then."""
        if self.failed_in_setup:
            self.emit(Recovered(self.was))
        if self.status == "bootstrapping":
            self.emit(Bootstrapped())

    def activate(self) -> None:
        """Make the host active in its cluster."""
        if self.cluster and self.status == "disassociated":
            self.emit(Activated())

    def fail(self, kind: FailureKind, reason: str) -> None:
        """Say why it cannot be worked with. The same reason again is no news."""
        failure = Failed(kind, reason)
        if self.failure != failure:
            self.emit(failure)

    def change_labels(self, labels: dict[str, str]) -> None:
        """Have these labels and no others. The same again is no news."""
        self.must_exist()
        if labels != self.labels:
            self.emit(LabelsChanged(labels))

    def read_credentials(self) -> None:
        """Note that an administrator reads the private key."""
        self.must_exist()
        self.emit(CredentialsRead())

    def rotate_credentials(self, key_fingerprint: str, remote_user: str, ssh_port: int) -> None:
        """Replace the credentials that the host is logged in to with."""
        self.must_exist()
        self.emit(CredentialsRotated(key_fingerprint, remote_user, ssh_port))

    # State

    def apply(self, event: AnyHostEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Registered():
                self.incarnation = self.credentials = event.originator_version
                self.registration = Registration(event.remote_user, event.ssh_port, event.source)
                self.fingerprint = event.key_fingerprint
                self._become("investigating")
            case Removed():
                self._forget()
            case JoinedCluster():
                self.cluster = event.cluster
            case LeftCluster():
                self._apply_leaving()
            case KeyPinned() | KeyRefused() | KeyApproved() | KeyForgotten():
                self._apply_to_host_key(event)
            case FactsGathered():
                self.facts = event
                if self.status == "investigating":
                    self._become("bootstrapping")
            case FactsSourced():
                self.sourced = event
            case BootstrapStepSent():
                self.step = event
            case BootstrapStepDone() | BootstrapStepFailed():
                self.step = None
            case Bootstrapped():
                self.step = None  # of a network that is not wanted any more: it ends by itself
                self._become("disassociated")
            case Activated():
                self._become("active")
            case Failed():
                if self.status != "failed":
                    self.was = self.status
                    self._become("failed")
                self.failure = event
            case Recovered():
                self._become(event.status)
                self.failure, self.was = None, ""
            case LabelsChanged():
                self.labels = event.labels
            case CheckRequested() | UpdatesFound():
                self._apply_check(event)
            case CredentialsRead():
                pass
            case CredentialsRotated():
                self._apply_rotation(event)
            case _:
                assert_never(event)

    def _apply_leaving(self) -> None:
        self.cluster = ""
        if self.status == "active":
            self._become("disassociated")
        elif self.was == "active":
            self.was = "disassociated"

    def _apply_to_host_key(self, event: AnyKeyEvent) -> None:
        match event:
            case KeyPinned():
                self.pinned, self.pinned_algorithm = event.fingerprint, event.algorithm
            case KeyRefused():
                self.refused = event.fingerprint
            case KeyApproved():
                self.pinned, self.pinned_algorithm, self.refused = event.fingerprint, "", ""
            case KeyForgotten():
                self.pinned = self.pinned_algorithm = self.refused = ""

    def _apply_rotation(self, event: CredentialsRotated) -> None:
        self.credentials = event.originator_version
        self.fingerprint = event.key_fingerprint
        self.registration = replace(
            self.registration, remote_user=event.remote_user, ssh_port=event.ssh_port
        )

    def _become(self, status: Status) -> None:
        if status not in NEXT[self.status]:
            raise ValueError(f"{self.id} cannot go from {self.status!r} to {status!r}")
        self.status = status
