"""A container manager runs containers on the hosts of the clusters that use it: they are its nodes.

created → (leaving, while there are nodes to be removed over there) → removed, and never while a
cluster uses it. A name that was removed may be created again: its stream goes on. Its token is
kept where secrets are, and is in no event: not even a digest, which would tell a token that can
be guessed.

A node: wanted → registered → unwanted → removed. Each wish stays until it was told over there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from domain import options as checks
from domain.aggregate import Aggregate
from domain.aggregates.container_manager_events import (
    AnyContainerManagerEvent,
    Created,
    NodeGivenUp,
    NodeRegistered,
    NodeRemoved,
    NodeUncordoned,
    NodeUnwanted,
    NodeWanted,
    Released,
    RemovalStarted,
    Removed,
    TakenUp,
    UncordonWanted,
)
from domain.names import some
from domain.options import (
    Options,
    api_root,
    checked,
    difference,
    must_be_a_pair,
    must_have,
    wrong,
)
from domain.refusal import conflict, not_found

State = Literal["", "created", "leaving"]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"created"}),
    "created": frozenset({"leaving", ""}),
    "leaving": frozenset({""}),
}
"""The life cycle: which state follows which. "" is one that does not exist."""

DEFAULT_TYPE = "openshift"
TRIVIAL = "trivial"
MASK = "********"
"""Stands for a token that is kept."""

KUBERNETES_OPTIONS: Mapping[str, checks.Check] = {
    "server_url": checks.url,
    "apiserver": checks.url,
    "token": checks.token,
    "certificate_path": checks.absolute_path,
    "certificate_key_path": checks.absolute_path,
    "ca_path": checks.absolute_path,
}
OPTIONS: checks.Known = {
    "openshift": KUBERNETES_OPTIONS,
    "kubernetes": KUBERNETES_OPTIONS,
    TRIVIAL: {},
}
"""What each type can use. The files are on the machine that Commissaire runs on."""


@dataclass(frozen=True)
class ContainerManagerRequest:
    """What a PUT asks for; `container_manager_request` makes one that makes sense.

    `options` are for everybody to see; `token` is the true one, `MASK`, or `None`.
    """

    type: str
    options: Options
    token: str | None = field(default=None, repr=False)


def container_manager_request(kind: str, options: Mapping[str, object]) -> ContainerManagerRequest:
    """A request whose options the type can use, or a refusal that names what is wrong."""
    given = checked("container manager", kind, options, OPTIONS)
    if kind == TRIVIAL:
        return ContainerManagerRequest(kind, given)
    if "apiserver" not in given:
        must_have(kind, given, "server_url")
    elif len({api_root(given[key]) for key in ("server_url", "apiserver") if key in given}) > 1:
        raise wrong("apiserver", "is another name for server_url: give one of the two")
    must_be_a_pair(given, "certificate_path", "certificate_key_path")
    token = given.get("token")
    if token is None:
        return ContainerManagerRequest(kind, given)
    if "certificate_path" in given:
        raise wrong("token", "cannot be used together with certificate_path")
    return ContainerManagerRequest(kind, given | {"token": MASK}, token)


class ContainerManager(Aggregate[AnyContainerManagerEvent]):
    """Something that runs containers on hosts, and what it takes to speak to it."""

    KIND = "container_manager"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._forget()

    def _forget(self) -> None:
        self.state: State = ""
        self.type = ""
        self.options: Options = {}
        self.clusters: set[str] = set()  # that use it
        self.nodes: set[str] = set()
        self.wanted: set[str] = set()
        self.unwanted: set[str] = set()
        self.marks: dict[str, str] = {}
        """By address: what a node that we registered carries, until it is removed."""
        self.cordoned: dict[str, str] = {}
        """By address: the operations whose cordons are to be taken away, with spaces between."""

    @property
    def exists(self) -> bool:
        """Whether it was created, and nobody asked to remove it since."""
        return self.state == "created"

    @property
    def has_token(self) -> bool:
        """Whether the vault has a token of this container manager."""
        return "token" in self.options

    @property
    def keeps_nodes_itself(self) -> bool:
        """Whether there is nobody else to be told of its nodes: what is said here is so."""
        return self.type == TRIVIAL

    @property
    def has_wishes(self) -> bool:
        """Whether something is still to be told over there."""
        return bool(self.wanted or self.unwanted or self.cordoned)

    def must_exist(self) -> None:
        """Refuse what is asked of one that does not exist."""
        if not self.exists:
            raise not_found(f"There is no container manager {self.name}: create it with PUT first.")

    # Commands

    def create(self, wanted: ContainerManagerRequest) -> None:
        """Create it; the same again is no event. The caller compares its token."""
        if not self.exists:
            self.give_up()
            self.emit(Created(self.name, wanted.type, wanted.options))
            return
        what = f"Container manager {self.name} exists with"
        if wanted.type != self.type:
            raise conflict(f"{what} type {self.type}, not {wanted.type}.", "type")
        differing = difference(_meaning(wanted.options), _meaning(self.options))
        if differing is not None:
            raise conflict(f"{what} another {differing}, or none.", f"options.{differing}")

    def take_up(self, cluster: str) -> None:
        """Record that a cluster uses this container manager."""
        if not self.exists:
            sentence = f"There is no container manager {self.name}: create it first."
            raise conflict(sentence, "container_manager")
        self.emit(TakenUp(cluster))

    def release(self, cluster: str) -> None:
        """Record that this cluster, whose hosts have left, no longer uses it."""
        if cluster in self.clusters:
            self.emit(Released(cluster))

    def want_node(self, address: str, cluster: str) -> None:
        """Have this host as a node, as soon as that could be told. Wanted already is no news."""
        if address in self.nodes or address in self.wanted:
            return
        # Unique, also among those who speak to the same API server: what carries it is ours.
        fresh = f"{self.id}@{self.version + 1} {self.act.at}"
        self.emit(NodeWanted(address, cluster, self.marks.get(address, fresh)))

    def register_node(self, address: str, *, found: bool = False) -> None:
        """Have this host as a node: it is one. What is not wanted (any more) is no news."""
        if address in self.wanted:
            self.emit(NodeRegistered(address, found))

    def keep_node(self, address: str) -> None:
        """Have this host as a node, where there is nobody to be told."""
        if address not in self.nodes:
            self.emit(NodeRegistered(address))

    def dismiss_node(self, address: str) -> None:
        """Do without this host, as soon as that could be told. No node already is no news."""
        if self.keeps_nodes_itself and address in self.nodes:
            self.emit(NodeRemoved(address))
        elif address in self.nodes or address in self.wanted:
            self.emit(NodeUnwanted(address, self.marks.get(address, "")))

    def remove_node(self, address: str, *, left: bool = False) -> None:
        """Have it no more: it was removed over there. What is wanted (again) is no news."""
        if address in self.unwanted:
            self.emit(NodeRemoved(address, left))
            self._finish_removal()

    def want_uncordon(self, address: str, operation: str) -> None:
        """Take away the cordon of an operation, as soon as that could be told.

        One before it may wait for the same: both have to be named over there.
        """
        waiting = self.cordoned.get(address, "").split()
        told = self.keeps_nodes_itself or operation in waiting
        if address in self.nodes and not told:
            self.emit(UncordonWanted(address, " ".join([*waiting, operation])))

    def uncordon(self, address: str, operation: str) -> None:
        """Its cordon was taken away, or is none any more. Another wish than that is no news."""
        if self.cordoned.get(address) == operation:
            self.emit(NodeUncordoned(address, operation))
            self._finish_removal()

    def remove(self) -> None:
        """Remove it, unless a cluster uses it; pending node changes are told before."""
        self.must_exist()
        if self.clusters:
            raise conflict(
                f"Container manager {self.name} is used by clusters:"
                f" {some(sorted(self.clusters))}. Delete them first."
            )
        if self.nodes:
            raise ValueError(f"{self.id} still has nodes")
        self.emit(RemovalStarted() if self.has_wishes else Removed())

    def _finish_removal(self) -> None:
        if self.state == "leaving" and not self.has_wishes:
            self.emit(Removed())

    def give_up(self) -> None:
        """Remove it without waiting for its pending node changes, if it is only kept for these."""
        if self.state != "leaving":
            return
        for address in sorted(self.wanted | self.unwanted | self.cordoned.keys()):
            self.emit(NodeGivenUp(address))
        self.emit(Removed())

    # State

    def apply(self, event: AnyContainerManagerEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Created():
                self._become("created")
                self.type, self.options = event.type, event.options
            case TakenUp():
                self.clusters.add(event.cluster)
            case Released():
                self.clusters.remove(event.cluster)
            case NodeWanted():
                self.marks[event.address] = event.mark
                self.unwanted.discard(event.address)
                self.wanted.add(event.address)
            case NodeRegistered():
                self.wanted.discard(event.address)
                self.nodes.add(event.address)
            case NodeUnwanted():
                self._drop(event.address)
                self.marks[event.address] = event.mark
                self.unwanted.add(event.address)
            case NodeRemoved() | NodeGivenUp():
                self._drop(event.address)
            case UncordonWanted():
                self.cordoned[event.address] = event.operation
            case NodeUncordoned():
                del self.cordoned[event.address]
            case RemovalStarted():
                self._become("leaving")
            case Removed():
                self._become("")
                self._forget()
            case _:
                assert_never(event)

    def _drop(self, address: str) -> None:
        self.nodes.discard(address)
        self.wanted.discard(address)
        self.unwanted.discard(address)
        self.marks.pop(address, None)
        self.cordoned.pop(address, None)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state


def _meaning(options: Options) -> Options:
    """The same for options that say the same: one name for the URL, without the API's own path."""
    return {
        "server_url" if key == "apiserver" else key: (
            api_root(value) if key in ("server_url", "apiserver") else value
        )
        for key, value in options.items()
    }
