"""A unit whose aggregates are simply there, and secrets that are simply kept."""

from collections.abc import Callable
from typing import Any, TypeVar

from domain.aggregate import Aggregate
from domain.aggregates.accounts.token import Token
from domain.aggregates.cluster import Cluster
from domain.aggregates.container_manager import ContainerManager
from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from domain.aggregates.network import Network
from domain.aggregates.operation import Operation
from domain.aggregates.planning.schedule import Schedule
from domain.aggregates.planning.window import Window
from domain.aggregates.source import Source
from domain.aggregates.webhook import Webhook
from domain.commands.fleet_commands import HostRequest, OfferedKey, Part, Unit
from domain.event import Event
from domain.log.transaction import Transaction
from domain.refusal import Refusal, invalid
from tests.domain.given import ACT

FACTS = FactsGathered("fedora", "40", 4, 8_000_000, 50_000_000, "boot-1")


A = TypeVar("A", bound=Aggregate[Any])


class MemoryUnit:
    """Everything that was emitted since `new`, and every aggregate ever asked for."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.clusters: dict[str, Cluster] = {}
        self.networks: dict[str, Network] = {}
        self.container_managers: dict[str, ContainerManager] = {}
        self.operations: dict[str, Operation] = {}
        self.sources: dict[str, Source] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.tokens: dict[str, Token] = {}
        self.windows: dict[str, Window] = {}
        self.schedules: dict[str, Schedule] = {}
        self.pending: list[Event] = []
        self.history: list[Event] = []
        self.act = ACT

    @property
    def tx(self) -> Transaction:
        """There is no database."""
        raise NotImplementedError

    def write_beside(self, write: Callable[[Transaction], None], *, scrub: bool = False) -> None:
        """There is no database."""
        raise NotImplementedError

    def host(self, address: str) -> Host:
        """The host of this address."""
        return self._use(self.hosts.setdefault(address, Host(address)))

    def cluster(self, name: str) -> Cluster:
        """The cluster of this name."""
        return self._use(self.clusters.setdefault(name, Cluster(name)))

    def network(self, name: str) -> Network:
        """The network of this name."""
        return self._use(self.networks.setdefault(name, Network(name)))

    def container_manager(self, name: str) -> ContainerManager:
        """The container manager of this name."""
        manager = self.container_managers.setdefault(name, ContainerManager(name))
        return self._use(manager)

    def operation(self, name: str) -> Operation:
        """The operation of this id."""
        return self._use(self.operations.setdefault(name, Operation(name)))

    def source(self, name: str) -> Source:
        """The source of this name."""
        return self._use(self.sources.setdefault(name, Source(name)))

    def webhook(self, name: str) -> Webhook:
        """The webhook of this name."""
        return self._use(self.webhooks.setdefault(name, Webhook(name)))

    def window(self, name: str) -> Window:
        """The window of this name."""
        return self._use(self.windows.setdefault(name, Window(name)))

    def schedule(self, name: str) -> Schedule:
        """The schedule of this name."""
        return self._use(self.schedules.setdefault(name, Schedule(name)))

    def token(self, name: str) -> Token:
        """The token of this name."""
        return self._use(self.tokens.setdefault(name, Token(name)))

    def _use(self, aggregate: A) -> A:
        aggregate.act, aggregate.pending = self.act, self.pending
        return aggregate

    def did(self) -> list[tuple[str, Event]]:
        """What happened since it was asked last: to whom, and what."""
        made = [(event.originator_id, event) for event in self.pending]
        self.history += self.pending
        self.pending = []
        return made

    def refused(self, command: Callable[[], object]) -> Refusal:
        """The refusal of a command, which must have changed nothing that is kept."""
        self.did()
        try:
            command()
        except Refusal as refusal:
            self.roll_back()
            return refusal
        raise AssertionError("it was not refused")

    def roll_back(self) -> None:
        """As the real unit does: what was emitted before a refusal never happened."""
        touched = {event.originator_id for event in self.pending}
        self.pending = []
        for aggregate_id in touched:
            kind, _, name = aggregate_id.partition("/")
            events = [event for event in self.history if event.originator_id == aggregate_id]
            kept = self._kept(kind)
            kept[name] = type(kept[name]).replay(name, events)

    def _kept(self, kind: str) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = {
            "host": self.hosts,
            "cluster": self.clusters,
            "network": self.networks,
            "container_manager": self.container_managers,
            "operation": self.operations,
            "webhook": self.webhooks,
            "window": self.windows,
            "schedule": self.schedules,
        }
        return found[kind]


class MemorySecrets:
    """Secrets in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def matches(self, unit: Unit, subject: str, secret: bytes, part: Part = bytes) -> bool:
        """Whether this is it."""
        return subject in self.kept and part(self.kept[subject]) == part(secret)

    def keep(self, unit: Unit, subject: str, secret: bytes) -> None:
        """Keep it."""
        self.kept[subject] = secret

    def replace(self, unit: Unit, subject: str, secret: bytes) -> None:
        """Keep it instead."""
        self.kept[subject] = secret

    def destroy(self, unit: Unit, subject: str) -> None:
        """Drop it."""
        del self.kept[subject]


def parse(raw: bytes) -> str:
    """A fingerprint for keys that start with `key`."""
    if not raw.startswith(b"key"):
        raise invalid("This is no key.", "ssh_priv_key")
    return f"SHA256:{raw.decode()}"


def request(
    cluster: str | None = None,
    key: bytes = b"key-1",
    user: str | None = None,
    port: int | None = None,
    source: str | None = None,
) -> HostRequest:
    """What a client asks for."""
    return HostRequest(OfferedKey(key, parse), cluster, user, port, source)
