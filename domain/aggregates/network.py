"""A network says how the hosts of the clusters that use it reach each other.

created → removed, and never while a cluster uses it. A name that was removed may be created
again: its stream goes on. `default` is built in: it is there without an event, for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

from domain import options as checks
from domain.aggregate import Aggregate
from domain.event import Event
from domain.names import some
from domain.options import Options, checked, difference, must_be_a_pair, must_have
from domain.refusal import conflict, not_found

State = Literal["", "created", "built_in"]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"created"}),
    "created": frozenset({""}),
    "built_in": frozenset(),
}
"""The life cycle: which state follows which. "" is a network that does not exist."""

DEFAULT_NETWORK = "default"
DEFAULT_TYPE = "flannel_etcd"

OPTIONS: checks.Known = {
    "flannel_etcd": {
        "endpoints": checks.endpoints,
        "prefix": checks.absolute_path,
        "ca_path": checks.absolute_path,
        "certificate_path": checks.absolute_path,
        "certificate_key_path": checks.absolute_path,
    },
    "flannel_server": {"address": checks.host_and_port},
}
"""What each type can use. The files are on the hosts, where flannel reads them."""


class NetworkEvent(Event):
    """Something that happened to a network."""

    TOPIC = "network"


@dataclass(frozen=True)
class Created(NetworkEvent):
    """The network was created."""

    TOPIC: ClassVar[str] = "network.created"
    name: str
    type: str
    options: Options


@dataclass(frozen=True)
class TakenUp(NetworkEvent):
    """A cluster uses this network from now on."""

    TOPIC: ClassVar[str] = "network.taken_up"
    cluster: str


@dataclass(frozen=True)
class Released(NetworkEvent):
    """A cluster that used this network was removed."""

    TOPIC: ClassVar[str] = "network.released"
    cluster: str


@dataclass(frozen=True)
class Removed(NetworkEvent):
    """The network is gone; no cluster used it any more."""

    TOPIC: ClassVar[str] = "network.removed"


AnyNetworkEvent = Created | TakenUp | Released | Removed


@dataclass(frozen=True)
class NetworkRequest:
    """What a PUT of a network asks for; `network_request` makes one that makes sense."""

    type: str
    options: Options


def network_request(kind: str, options: Mapping[str, object]) -> NetworkRequest:
    """A request whose options the type can use, or a refusal that names what is wrong."""
    given = checked("network", kind, options, OPTIONS)
    if kind == "flannel_server":
        must_have(kind, given, "address")
    must_be_a_pair(given, "certificate_path", "certificate_key_path")
    return NetworkRequest(kind, given)


class Network(Aggregate[AnyNetworkEvent]):
    """A named way for hosts to reach each other."""

    KIND = "network"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._forget()

    def _forget(self) -> None:
        self.state: State = "built_in" if self.name == DEFAULT_NETWORK else ""
        self.type = DEFAULT_TYPE if self.state else ""
        self.options: Options = {}
        self.clusters: set[str] = set()  # that use it; nobody asks of the built-in one

    @property
    def exists(self) -> bool:
        """Whether it is built in, or was created and not removed since."""
        return self.state != ""

    @property
    def installs(self) -> bool:
        """Whether it knows whom a host's flannel is to ask: else there is nothing to set up."""
        return bool(self.options.get("endpoints") or self.options.get("address"))

    # Commands

    def create(self, wanted: NetworkRequest) -> None:
        """Create the network; the same again is no event."""
        if not self.exists:
            self.emit(Created(self.name, wanted.type, wanted.options))
            return
        if wanted.type != self.type:
            sentence = f"Network {self.name} exists with type {self.type}, not {wanted.type}."
            raise conflict(sentence, "type")
        differing = difference(wanted.options, self.options)
        if differing is not None:
            sentence = f"Network {self.name} exists with another {differing}."
            raise conflict(sentence, f"options.{differing}")

    def take_up(self, cluster: str) -> None:
        """Record that a cluster uses this network."""
        if not self.exists:
            raise conflict(f"There is no network {self.name}: create it first.", "network")
        if self.state != "built_in":  # which nobody can remove, whoever uses it
            self.emit(TakenUp(cluster))

    def release(self, cluster: str) -> None:
        """Record that this cluster no longer uses the network."""
        if cluster in self.clusters:
            self.emit(Released(cluster))

    def remove(self) -> None:
        """Remove the network, unless a cluster uses it."""
        if not self.exists:
            raise not_found(f"There is no network {self.name}: create it with PUT first.")
        if self.state == "built_in":
            raise conflict(f"Network {self.name} is built in and stays.")
        if self.clusters:
            users = some(sorted(self.clusters))
            raise conflict(f"Network {self.name} is used by clusters: {users}. Delete them first.")
        self.emit(Removed())

    # State

    def apply(self, event: AnyNetworkEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Created():
                self._become("created")
                self.type, self.options = event.type, event.options
            case TakenUp():
                self.clusters.add(event.cluster)
            case Released():
                self.clusters.remove(event.cluster)
            case Removed():
                self._become("")
                self._forget()
            case _:
                assert_never(event)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state
