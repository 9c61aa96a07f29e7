"""A cluster is a named set of hosts, kept in order of joining.

created → (removing, where it is large) → removed. A name that was removed may be created again:
its stream goes on.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, assert_never

from domain.aggregate import Aggregate
from domain.event import Event, LeaveReason
from domain.names import some
from domain.refusal import conflict, not_found

State = Literal["", "created", "removing"]
LockReason = Literal["unlocked", "released"]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"created"}),
    "created": frozenset({"removing", ""}),
    "removing": frozenset({""}),
}
"""The life cycle: which state follows which. "" is a cluster that does not exist."""


class ClusterEvent(Event):
    """Something that happened to a cluster."""

    TOPIC = "cluster"


@dataclass(frozen=True)
class Created(ClusterEvent):
    """The cluster was created."""

    TOPIC: ClassVar[str] = "cluster.created"
    name: str
    network: str
    container_manager: str


@dataclass(frozen=True)
class HostJoined(ClusterEvent):
    """A host became a member, the last in order."""

    TOPIC: ClassVar[str] = "cluster.host_joined"
    address: str


@dataclass(frozen=True)
class HostLeft(ClusterEvent):
    """A host is no member any more."""

    TOPIC: ClassVar[str] = "cluster.host_left"
    class_version: ClassVar[int] = 2
    address: str
    reason: LeaveReason

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 did not say why."""
        state["reason"] = ""


@dataclass(frozen=True)
class RemovalStarted(ClusterEvent):
    """A large cluster is being removed: its hosts leave in batches, and nobody joins."""

    TOPIC: ClassVar[str] = "cluster.removal_started"


@dataclass(frozen=True)
class Removed(ClusterEvent):
    """The cluster is gone; its hosts left before."""

    TOPIC: ClassVar[str] = "cluster.removed"


@dataclass(frozen=True)
class OperationStarted(ClusterEvent):
    """A rolling operation has the cluster to itself."""

    TOPIC: ClassVar[str] = "cluster.operation_started"
    operation: str


@dataclass(frozen=True)
class OperationEnded(ClusterEvent):
    """The cluster's operation has ended."""

    TOPIC: ClassVar[str] = "cluster.operation_ended"
    operation: str


@dataclass(frozen=True)
class PolicyChanged(ClusterEvent):
    """What holds for every operation and lock of the cluster from now on.

    `max_unavailable`: so many members may be away at once, or such a percentage; `null` is any.
    `window`, `gate`: which each of its operations keeps to; "" is none.
    """

    TOPIC: ClassVar[str] = "cluster.policy_changed"
    max_unavailable: int | str | None
    window: str = ""
    gate: str = ""


@dataclass(frozen=True)
class LockTaken(ClusterEvent):
    """A member restarts by itself, and holds a slot of the budget meanwhile. `client`: its own id.

    It holds it until it says that it is back, an administrator releases it, or it leaves.
    """

    TOPIC: ClassVar[str] = "cluster.lock_taken"
    address: str
    client: str


@dataclass(frozen=True)
class LockGiven(ClusterEvent):
    """The slot is free again: the member said so (`unlocked`), or somebody else (`released`)."""

    TOPIC: ClassVar[str] = "cluster.lock_given"
    address: str
    reason: LockReason


AnyClusterEvent = (
    Created
    | HostJoined
    | HostLeft
    | RemovalStarted
    | Removed
    | OperationStarted
    | OperationEnded
    | PolicyChanged
    | LockTaken
    | LockGiven
)


class Cluster(Aggregate[AnyClusterEvent]):
    """A named set of hosts."""

    KIND = "cluster"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._forget()

    def _forget(self) -> None:
        self.state: State = ""
        self.network = ""
        self.container_manager = ""
        self.operation = ""
        """The operation that is in process; none leaves meanwhile."""
        self.members: dict[str, None] = {}  # a set that keeps the order of joining
        self.max_unavailable: int | str | None = None
        self.window = ""
        self.gate = ""
        self.locks: dict[str, str] = {}
        """Members that restart by themselves, and the ids that they have for themselves."""

    @property
    def exists(self) -> bool:
        """Whether it was created and not removed since."""
        return self.state != ""

    def must_exist(self) -> None:
        """Refuse what is asked of a cluster that does not exist."""
        if not self.exists:
            raise not_found(f"There is no cluster {self.name}: create it with PUT first.")

    # Commands

    def create(self, network: str, container_manager: str) -> None:
        """Create the cluster with these names; the same again is no event."""
        if not self.exists:
            self.emit(Created(self.name, network, container_manager))
            return
        self._must_not_be_removing()
        for key, wanted, actual in (
            ("network", network, self.network),
            ("container_manager", container_manager, self.container_manager),
        ):
            if wanted != actual:
                raise conflict(
                    f"Cluster {self.name} exists with {key} '{actual}', not '{wanted}'.", key
                )

    def add(self, address: str) -> None:
        """Make a host the cluster's last member."""
        self.must_exist()
        self._must_not_be_removing()
        if address not in self.members:
            self.emit(HostJoined(address))

    def drop(self, address: str, reason: LeaveReason = "taken_out") -> None:
        """Make a host no member any more."""
        self.must_exist()
        if address in self.members:
            self.must_be_at_rest()
            self.emit(HostLeft(address, reason))

    def must_have_members(self, old: list[str]) -> None:
        """Refuse a change that was made for other members than there are (compare and swap)."""
        self.must_exist()
        self._must_not_be_removing()
        expected = dict.fromkeys(old)
        unexpected = [address for address in self.members if address not in expected]
        missing = [address for address in expected if address not in self.members]
        if unexpected or missing:
            raise conflict(
                f"'old' differs from the members of {self.name}"
                f"{_some('; also members', unexpected)}{_some('; no members', missing)}."
                " Read the members again and repeat.",
                "old",
            )

    def start_removal(self) -> None:
        """Take nobody in any more; the members leave next."""
        self.must_exist()
        self.must_be_at_rest()
        if self.state != "removing":
            self.emit(RemovalStarted())

    def remove(self) -> None:
        """Remove the cluster; its members must have left before."""
        self.must_exist()
        self.must_be_at_rest()
        if self.members:
            raise ValueError(f"{self.id} still has members")
        self.emit(Removed())

    def start_operation(self, operation: str) -> None:
        """Let an operation have the cluster to itself."""
        self.must_exist()
        self._must_not_be_removing()
        self.must_be_at_rest()
        self.emit(OperationStarted(operation))

    def end_operation(self, operation: str) -> None:
        """Record that the operation has ended; what ended already is no event."""
        if self.operation == operation:
            self.emit(OperationEnded(operation))

    def change_policy(
        self, max_unavailable: int | str | None, window: str = "", gate: str = ""
    ) -> None:
        """Have this policy from now on. The same again is no news."""
        self.must_exist()
        if (max_unavailable, window, gate) != (self.max_unavailable, self.window, self.gate):
            self.emit(PolicyChanged(max_unavailable, window, gate))

    def take_lock(self, address: str, client: str) -> None:
        """Let a member restart by itself; the budget has room for it."""
        self.emit(LockTaken(address, client))

    def give_lock(self, address: str, reason: LockReason) -> None:
        """Free the slot of a member. One that has none is no news."""
        if address in self.locks:
            self.emit(LockGiven(address, reason))

    def must_be_at_rest(self) -> None:
        """Refuse what must not happen while an operation is in process."""
        if self.operation:
            raise conflict(
                f"Operation {self.operation} is in process on cluster {self.name}: wait until it"
                " is over, or cancel it."
            )

    def _must_not_be_removing(self) -> None:
        if self.state == "removing":
            raise conflict(f"Cluster {self.name} is being removed: wait until it is gone.")

    # State

    def apply(self, event: AnyClusterEvent) -> None:
        """Fold one event into the state."""
        match event:
            case HostJoined():
                self.members[event.address] = None
            case HostLeft():
                del self.members[event.address]
                self.locks.pop(event.address, None)
            case Created():
                self._become("created")
                self.network = event.network
                self.container_manager = event.container_manager
            case RemovalStarted():
                self._become("removing")
            case Removed():
                self._forget()
            case OperationStarted():
                self.operation = event.operation
            case OperationEnded():
                self.operation = ""
            case PolicyChanged():
                self.max_unavailable = event.max_unavailable
                self.window, self.gate = event.window, event.gate
            case LockTaken():
                self.locks[event.address] = event.client
            case LockGiven():
                del self.locks[event.address]
            case _:
                assert_never(event)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state


def _some(what: str, addresses: list[str]) -> str:
    if not addresses:
        return ""
    return f"{what}: {some(addresses)}"
