"""Commands that span aggregates: they change together or not at all.

A host is a member of its cluster, a cluster uses a network and perhaps a container manager, and
a host may be a node of that container manager; each side says so in its own events.
Each takes the unit that it decides in, and raises a `Refusal` before anything is written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from domain.aggregates.cluster import Cluster
from domain.aggregates.container_manager import MASK, ContainerManager, ContainerManagerRequest
from domain.aggregates.host import Host, Registration
from domain.aggregates.network import Network
from domain.aggregates.operation import Operation
from domain.certificates import certificate_in
from domain.commands.schedule_commands import Windows
from domain.event import LeaveReason
from domain.log.transaction import Transaction
from domain.names import quoted
from domain.options import wrong
from domain.refusal import Refusal, conflict, invalid

REMOVAL_BATCH_HOSTS = 50
"""How many hosts leave in one transaction while a large cluster is removed."""

Part = Callable[[bytes], bytes]
"""What of a secret is compared."""


class Unit(Windows, Protocol):
    """The aggregates, as of now, that one command decides on."""

    def host(self, address: str) -> Host:
        """The host of this address, registered or not."""
        ...

    def cluster(self, name: str) -> Cluster:
        """The cluster of this name, existing or not."""
        ...

    def network(self, name: str) -> Network:
        """The network of this name, existing or not."""
        ...

    def container_manager(self, name: str) -> ContainerManager:
        """The container manager of this name, existing or not."""
        ...

    def operation(self, name: str) -> Operation:
        """The operation of this id, existing or not."""
        ...

    @property
    def tx(self) -> Transaction:
        """The transaction that the command is decided in, to read what is beside the log."""
        ...

    def write_beside(self, write: Callable[[Transaction], None], *, scrub: bool = False) -> None:
        """Write beside the log in that transaction, unless the command is refused."""
        ...


class Secrets(Protocol):
    """Where private keys and tokens are kept, in the transaction of the events about them."""

    def matches(self, unit: Unit, subject: str, secret: bytes, part: Part = bytes) -> bool:
        """Whether this very secret, or one with the same part, is kept for the subject."""
        ...

    def keep(self, unit: Unit, subject: str, secret: bytes) -> None:
        """Keep a secret, in place of the one before."""
        ...

    def replace(self, unit: Unit, subject: str, secret: bytes) -> None:
        """Keep a secret, and make the one before unreadable for good."""
        ...

    def destroy(self, unit: Unit, subject: str) -> None:
        """Make the subject's secret unreadable for good."""
        ...


@dataclass(frozen=True)
class OfferedKey:
    """A private key as a client sent it. It is parsed only when somebody needs to."""

    raw: bytes
    parse: Callable[[bytes], str]
    """The fingerprint of its public key, or a refusal that says what is wrong with it."""

    def __repr__(self) -> str:
        return "OfferedKey(…)"


@dataclass(frozen=True)
class HostRequest:
    """What a PUT of a host asks for. `None` means that the client did not say."""

    key: OfferedKey
    cluster: str | None = None
    remote_user: str | None = None
    ssh_port: int | None = None
    source: str | None = None
    source_is_there: bool = True
    """Whether a source of this name is configured now."""

    def registration(self) -> Registration:
        """With the contract's defaults for what was not said."""
        return Registration(self.remote_user or "root", self.ssh_port or 22, self.source or "")


def register_host(unit: Unit, secrets: Secrets, address: str, request: HostRequest) -> None:
    """Look after a host. The same request again is no news; another one contradicts."""
    host = unit.host(address)
    # A host stays as it is, though its source was taken out of the settings since.
    if not request.source_is_there and request.source != host.registration.source:
        raise invalid(
            f"There is no source {quoted(request.source or '')}: sources are in the settings of"
            " the service.",
            "source",
        )
    cluster = unit.cluster(request.cluster) if request.cluster is not None else None
    if cluster is not None and not cluster.exists:
        raise conflict(f"There is no cluster {cluster.name}: create it first.", "cluster")
    if host.registered:
        _must_repeat(unit, secrets, host, request)
        return
    fingerprint = request.key.parse(request.key.raw)
    if cluster is not None:
        cluster.add(address)
    host.register(request.registration(), fingerprint)
    if cluster is not None:
        host.join_cluster(cluster.name)
    secrets.keep(unit, host.id, request.key.raw)


def has_key(unit: Unit, secrets: Secrets, host: Host, key: OfferedKey) -> bool:
    """Whether it is the key that the host has, in whatever wrapping. What is no key is not."""
    if secrets.matches(unit, host.id, key.raw):
        return True
    try:
        return key.parse(key.raw) == host.fingerprint
    except Refusal:
        return False


def has_certificate(unit: Unit, secrets: Secrets, host: Host, key: OfferedKey) -> bool:
    """Whether the certificate beside it, or none, is what the host's key has beside it."""
    return secrets.matches(unit, host.id, key.raw, certificate_in)


def _must_repeat(unit: Unit, secrets: Secrets, host: Host, request: HostRequest) -> None:
    if not has_key(unit, secrets, host, request.key):
        raise conflict(
            f"{host.name} is registered with another key: remove it first, or rotate its"
            " credentials.",
            "ssh_priv_key",
        )
    if certificate_in(request.key.raw) and not has_certificate(unit, secrets, host, request.key):
        raise conflict(
            f"{host.name} is registered without this certificate: rotate its credentials.",
            "ssh_priv_key",
        )
    if request.cluster is not None and request.cluster != host.cluster:
        raise conflict(f"{host.name} is registered, but no member of {request.cluster}.", "cluster")
    known = host.registration
    for key, wanted, actual in (
        ("remote_user", request.remote_user, known.remote_user),
        ("ssh_port", request.ssh_port, known.ssh_port),
        ("source", request.source, known.source),
    ):
        if wanted is not None and wanted != actual:
            raise conflict(
                f"{host.name} is registered with {key} '{actual}', not {quoted(str(wanted))}.", key
            )


def remove_host(unit: Unit, secrets: Secrets, address: str, *, forget_key: bool = False) -> None:
    """Look after a host no longer; it leaves its cluster, and its credentials are destroyed.

    The host key that is trusted stays with its address, but for those who may `forget_key`.
    """
    host = unit.host(address)
    host.must_exist()
    if host.cluster:
        _dismiss(unit, unit.cluster(host.cluster), host, "host_removed")
    host.remove(forget_key=forget_key)
    secrets.destroy(unit, host.id)


def create_container_manager(
    unit: Unit, secrets: Secrets, name: str, wanted: ContainerManagerRequest
) -> None:
    """Know a container manager. The same again is no news: the true token, or its mask."""
    manager, token = unit.container_manager(name), wanted.token
    is_new, had_token = not manager.exists, manager.has_token
    if token == MASK and (is_new or not had_token):
        raise wrong("token", f"is the mask of a token, but none is kept for {name}: send the token")
    manager.create(wanted)
    if is_new:
        # There may be one of the manager before, which is still to be told something.
        if token is not None:
            (secrets.replace if had_token else secrets.keep)(unit, manager.id, token.encode())
        elif had_token:
            secrets.destroy(unit, manager.id)
    elif token not in (None, MASK) and not secrets.matches(unit, manager.id, token.encode()):
        raise conflict(f"Container manager {name} exists with another token.", "options.token")


def remove_container_manager(unit: Unit, secrets: Secrets, name: str) -> None:
    """Forget a container manager that no cluster uses; its token is destroyed.

    Where it is still to be told of nodes that left, it is forgotten after that
    (`domain.commands.node_outcomes`).
    """
    manager = unit.container_manager(name)
    had_token = manager.has_token
    manager.remove()
    if had_token and not manager.has_wishes:
        secrets.destroy(unit, manager.id)


def create_cluster(unit: Unit, name: str, network: str, container_manager: str) -> None:
    """Create a cluster with this network and container manager, which must exist."""
    cluster = unit.cluster(name)
    if not cluster.exists:
        unit.network(network).take_up(name)
        if container_manager:
            unit.container_manager(container_manager).take_up(name)
    cluster.create(network, container_manager)


def join(unit: Unit, name: str, address: str) -> None:
    """Make a host a member. A member already is no news, and is not judged again."""
    cluster, host = unit.cluster(name), unit.host(address)
    cluster.must_exist()
    host.must_exist()
    if address not in cluster.members:
        _admit(unit, cluster, host)


def leave(unit: Unit, name: str, address: str) -> None:
    """Make a host no member. No member already is no news."""
    cluster = unit.cluster(name)
    cluster.must_exist()
    if address in cluster.members:
        _dismiss(unit, cluster, unit.host(address), "taken_out")


def replace_members(unit: Unit, name: str, old: list[str], new: list[str]) -> None:
    """Swap the member list, if it is still `old`; all or nothing.

    Where `new` is already the members there is nothing to do: a client resends what it got no
    answer to. Members that stay are never judged again and keep their place.
    """
    cluster = unit.cluster(name)
    cluster.must_exist()
    wanted = dict.fromkeys(new)
    if wanted.keys() == cluster.members.keys():
        return
    cluster.must_have_members(old)
    newcomers = []
    for address in [address for address in wanted if address not in cluster.members]:
        # One at a time: a list of thousands that nobody knows is refused at the first.
        host = unit.host(address)
        if not host.registered:
            raise conflict(f"There is no host {host.name}: register it first.", "new")
        _must_be_free(host, cluster)
        newcomers.append(host)
    for address in [address for address in cluster.members if address not in wanted]:
        _dismiss(unit, cluster, unit.host(address), "taken_out")
    for host in newcomers:
        _admit(unit, cluster, host)


def _must_be_free(host: Host, cluster: Cluster) -> None:
    if host.cluster and host.cluster != cluster.name:
        raise conflict(f"{host.name} is in cluster {host.cluster}: remove it from there first.")
    host.must_be_ready()


def _admit(unit: Unit, cluster: Cluster, host: Host) -> None:
    _must_be_free(host, cluster)
    cluster.add(host.name)
    host.join_cluster(cluster.name)
    activate_where_nobody_else_must(unit, cluster, host)


def _dismiss(unit: Unit, cluster: Cluster, host: Host, reason: LeaveReason) -> None:
    cluster.drop(host.name, reason)
    if cluster.container_manager:
        unit.container_manager(cluster.container_manager).dismiss_node(host.name)
    host.leave_cluster(reason)


def activate_where_nobody_else_must(unit: Unit, cluster: Cluster, host: Host) -> None:
    """Let a member that is set up take part at once, where nobody outside has a say in it.

    Otherwise it is to be told there, and is active as soon as it is registered.
    """
    if host.status != "disassociated":
        return
    if cluster.container_manager:
        manager = unit.container_manager(cluster.container_manager)
        if manager.keeps_nodes_itself:
            manager.keep_node(host.name)
        else:
            manager.want_node(host.name, cluster.name)
        if host.name not in manager.nodes:
            return
    host.activate()


def remove_cluster(unit: Unit, name: str) -> bool:
    """Remove a cluster, or as much of it as one transaction may: True once it is gone.

    Where it is not, `go_on_removing` is called until it is. Between the calls others get their
    turn, nobody joins, and a process that dies leaves an intent in the log that the next finishes.
    """
    cluster = unit.cluster(name)
    cluster.must_exist()
    return _remove_some(unit, cluster)


def go_on_removing(unit: Unit, name: str) -> bool:
    """Remove more of a cluster that is being removed: True once it is gone, whoever did the rest.

    Meanwhile somebody else may have finished, and somebody may have created it anew: that one is
    left alone.
    """
    cluster = unit.cluster(name)
    return cluster.state != "removing" or _remove_some(unit, cluster)


def _remove_some(unit: Unit, cluster: Cluster) -> bool:
    if len(cluster.members) > REMOVAL_BATCH_HOSTS:
        cluster.start_removal()
    for address in list(cluster.members)[:REMOVAL_BATCH_HOSTS]:
        _dismiss(unit, cluster, unit.host(address), "cluster_removed")
    if cluster.members:
        return False
    unit.network(cluster.network).release(cluster.name)
    if cluster.container_manager:
        unit.container_manager(cluster.container_manager).release(cluster.name)
    if cluster.window:
        unit.window(cluster.window).release(cluster.id)
    cluster.remove()
    return True
