"""What one command decides on and adds: aggregates as of now, in the append transaction."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from domain.aggregate import Aggregate
from domain.aggregates.accounts.session import Session
from domain.aggregates.accounts.token import Token
from domain.aggregates.accounts.user import User
from domain.aggregates.cluster import Cluster
from domain.aggregates.container_manager import ContainerManager
from domain.aggregates.host import Host
from domain.aggregates.log_history import NAME, LogHistory
from domain.aggregates.network import Network
from domain.aggregates.operation import Operation
from domain.aggregates.planning.schedule import Schedule
from domain.aggregates.planning.window import Window
from domain.aggregates.source import Source
from domain.aggregates.webhook import Webhook
from domain.event import Act, Event
from domain.log import recorder
from domain.log.engine import StoredEvent
from domain.log.mapper import to_event
from domain.log.transaction import Transaction
from domain.refusal import unavailable

AGGREGATES_MAX = 4096
"""How many aggregates stay in memory between commands."""

A = TypeVar("A", bound=Aggregate[Any])


class Aggregates:
    """The aggregates that were used last, as the log has them. Only the writer's thread may."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Aggregate[Any]] = OrderedDict()

    def get(self, tx: Transaction, kind: type[A], name: str) -> A:
        """The aggregate as the log has it now."""
        aggregate_id = f"{kind.KIND}/{name}"
        aggregate = self._kept.get(aggregate_id)
        if aggregate is not None:
            self._kept.move_to_end(aggregate_id)
            return cast(A, aggregate)
        loaded = load(tx, kind, name)
        self._kept[aggregate_id] = loaded
        if len(self._kept) > AGGREGATES_MAX:
            self._kept.popitem(last=False)
        return loaded

    def forget(self, aggregate_ids: Iterable[str]) -> None:
        """Load these anew when they are needed: what is in memory is not in the log."""
        for aggregate_id in aggregate_ids:
            self._kept.pop(aggregate_id, None)

    def clear(self) -> None:
        """Load everything anew when it is needed."""
        self._kept.clear()


def load(tx: Transaction, kind: type[A], name: str) -> A:
    """Replay one aggregate from the log."""
    stored = recorder.stream(tx, f"{kind.KIND}/{name}")
    return kind.replay(name, map(_event, stored))


def _event(stored: StoredEvent) -> Event:
    try:
        event = to_event(stored)
        event.must_be_understood()
    except Exception as defect:
        raise unavailable(
            f"This version cannot read event {stored.originator_version} of"
            f" {stored.originator_id}, {stored.topic}: start one that knows it."
        ) from defect
    return event


class Unit:
    """One command's view. What it emits is appended together, or not at all."""

    def __init__(self, tx: Transaction, aggregates: Aggregates, act: Act) -> None:
        self.tx = tx
        self.act = act
        self.pending: list[Event] = []
        self.writes: list[Callable[[Transaction], None]] = []
        self.scrub = False
        self._aggregates = aggregates
        self._used: dict[str, Aggregate[Any]] = {}

    def host(self, address: str) -> Host:
        """The host of this address, registered or not."""
        return self._use(Host, address)

    def cluster(self, name: str) -> Cluster:
        """The cluster of this name, existing or not."""
        return self._use(Cluster, name)

    def network(self, name: str) -> Network:
        """The network of this name, existing or not."""
        return self._use(Network, name)

    def container_manager(self, name: str) -> ContainerManager:
        """The container manager of this name, existing or not."""
        return self._use(ContainerManager, name)

    def operation(self, name: str) -> Operation:
        """The operation of this id, existing or not."""
        return self._use(Operation, name)

    def window(self, name: str) -> Window:
        """The window of this name, defined or not."""
        return self._use(Window, name)

    def schedule(self, name: str) -> Schedule:
        """The schedule of this name, defined or not."""
        return self._use(Schedule, name)

    def source(self, name: str) -> Source:
        """The inventory of this name, heard of or not."""
        return self._use(Source, name)

    def user(self, name: str) -> User:
        """The user of this name, existing or not."""
        return self._use(User, name)

    def token(self, name: str) -> Token:
        """The token of this name, existing or not."""
        return self._use(Token, name)

    def session(self, name: str) -> Session:
        """The session of this id, existing or not."""
        return self._use(Session, name)

    def webhook(self, name: str) -> Webhook:
        """The webhook of this name, existing or not."""
        return self._use(Webhook, name)

    def log_history(self) -> LogHistory:
        """The log itself."""
        return self._use(LogHistory, NAME)

    def write_beside(self, write: Callable[[Transaction], None], *, scrub: bool = False) -> None:
        """Write beside the log in the same transaction, once the command was not refused.

        `scrub`: once it is committed, make what was overwritten or deleted unreadable on disk.
        """
        self.writes.append(write)
        self.scrub = self.scrub or scrub

    def forget_changes(self) -> None:
        """Undo in memory what the command emitted before it was refused."""
        self._aggregates.forget({event.originator_id for event in self.pending})
        self.pending.clear()

    def _use(self, kind: type[A], name: str) -> A:
        key = f"{kind.KIND}/{name}"
        used = self._used.get(key)
        if used is not None:  # with what it emitted, though others may have driven it from memory
            return cast(A, used)
        aggregate = self._aggregates.get(self.tx, kind, name)
        aggregate.act, aggregate.pending = self.act, self.pending
        self._used[key] = aggregate
        return aggregate
