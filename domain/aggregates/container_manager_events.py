"""What happens to a container manager, and to the hosts that are its nodes.

What has to be told to a Kubernetes API server is wished first (`NodeWanted`, `NodeUnwanted`,
`UncordonWanted`), and has an outcome once it was told. The trivial manager has outcomes only.
"""

from dataclasses import dataclass
from typing import ClassVar

from domain.event import Event
from domain.options import Options


class ContainerManagerEvent(Event):
    """Something that happened to a container manager."""

    TOPIC = "container_manager"


@dataclass(frozen=True)
class Created(ContainerManagerEvent):
    """Somebody asked for this container manager. A token is only a mask in its options."""

    TOPIC: ClassVar[str] = "container_manager.created"
    name: str
    type: str
    options: Options


@dataclass(frozen=True)
class TakenUp(ContainerManagerEvent):
    """A cluster uses this container manager from now on."""

    TOPIC: ClassVar[str] = "container_manager.taken_up"
    cluster: str


@dataclass(frozen=True)
class Released(ContainerManagerEvent):
    """A cluster that used this container manager was removed."""

    TOPIC: ClassVar[str] = "container_manager.released"
    cluster: str


@dataclass(frozen=True)
class NodeWanted(ContainerManagerEvent):
    """A host of one of its clusters is to be registered as a node, which is to carry this mark."""

    TOPIC: ClassVar[str] = "container_manager.node_wanted"
    address: str
    cluster: str
    mark: str


@dataclass(frozen=True)
class NodeRegistered(ContainerManagerEvent):
    """A host of one of its clusters is a node of it.

    `found`: somebody else (its kubelet) had registered it; it stays there when the host leaves.
    """

    TOPIC: ClassVar[str] = "container_manager.node_registered"
    address: str
    found: bool = False


@dataclass(frozen=True)
class NodeUnwanted(ContainerManagerEvent):
    """The node with this mark is to be removed."""

    TOPIC: ClassVar[str] = "container_manager.node_unwanted"
    address: str
    mark: str


@dataclass(frozen=True)
class NodeRemoved(ContainerManagerEvent):
    """The host's node was removed from the container manager.

    `left`: a node of that name is still there, because it is none that we registered.
    """

    TOPIC: ClassVar[str] = "container_manager.node_removed"
    address: str
    left: bool = False


@dataclass(frozen=True)
class UncordonWanted(ContainerManagerEvent):
    """The node may run pods again, if it was this operation that forbade it.

    Where one before it waits for the same, both are named, with a space between.
    """

    TOPIC: ClassVar[str] = "container_manager.uncordon_wanted"
    address: str
    operation: str


@dataclass(frozen=True)
class NodeUncordoned(ContainerManagerEvent):
    """The node was uncordoned, as far as that operation is concerned."""

    TOPIC: ClassVar[str] = "container_manager.node_uncordoned"
    address: str
    operation: str


@dataclass(frozen=True)
class NodeGivenUp(ContainerManagerEvent):
    """What was wished for this host was not told, and will not be: the manager is forgotten."""

    TOPIC: ClassVar[str] = "container_manager.node_given_up"
    address: str


@dataclass(frozen=True)
class RemovalStarted(ContainerManagerEvent):
    """Nobody can use it any more; it is only still told which nodes have left."""

    TOPIC: ClassVar[str] = "container_manager.removal_started"


@dataclass(frozen=True)
class Removed(ContainerManagerEvent):
    """The container manager, which no cluster used, was removed and its token destroyed."""

    TOPIC: ClassVar[str] = "container_manager.removed"


AnyContainerManagerEvent = (
    Created
    | TakenUp
    | Released
    | NodeWanted
    | NodeRegistered
    | NodeUnwanted
    | NodeRemoved
    | UncordonWanted
    | NodeUncordoned
    | NodeGivenUp
    | RemovalStarted
    | Removed
)
