"""A subject's history as a person asks for it: when, who, what, before and after, why, and what
it follows from.

What changed is what the aggregates themselves say before and after the event, so there is no
second account of what an event means.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from domain.aggregate import Aggregate
from domain.aggregates.accounts.user import User
from domain.aggregates.cluster import Cluster
from domain.aggregates.host import Host
from domain.aggregates.host_events import CredentialsRotated, Registered
from domain.aggregates.operation import Operation
from domain.event import Event
from domain.log import recorder
from domain.log.engine import StoredEvent
from domain.log.mapper import whole_event
from domain.log.reading import backwards, search
from domain.log.reading.search import Filter
from domain.log.recorder import POSITION_MAX, Entry
from domain.log.transaction import Transaction
from projections.event_sentences import sentence, why

REPLAYED_EVENTS = 1000
"""How many events of a stream are read at once."""
PAGE_BYTES_MAX = 1024 * 1024

State = dict[str, str | int | None]
# Any: a record, as JSON has it.
Record = dict[str, Any]


class Page(NamedTuple):
    """A piece of a history, and where the next one begins, if there is one."""

    records: list[Record]
    next: int | None


def history(tx: Transaction, subject: str, after: int, limit: int) -> Page | None:
    """The next events of a subject, oldest first; None of one that was never heard of.

    What came before is read too, so that it is known what each changed: as long as the subject's
    own stream is.
    """
    if not next(recorder.stream(tx, subject, lte=1), None):
        return None
    found = search.page(tx, Filter((subject,)), after, limit, PAGE_BYTES_MAX)
    teller = Teller(subject)
    if found.entries:
        teller.catch_up(tx, found.entries[0].stored.originator_version - 1)
    records = [teller.tell(entry) for entry in found.entries]
    return Page(records, found.position if found.more else None)


def newest(tx: Transaction, limit: int, until: str | None = None) -> list[Record]:
    """The newest events of all subjects, up to a time, newest first; not what each changed."""
    last = recorder.head(tx).position if until is None else search.last_recorded(tx, until)
    # Gaps in positions are normal: a few more are looked at.
    found = recorder.entries(tx, max(0, last - 2 * limit), 2 * limit, last)
    return [told_alone(entry) for entry in reversed(found[-limit:])]


def head_of(tx: Transaction, subject: str) -> int:
    """The position of the newest event of a subject; 0 where there is none."""
    newest = backwards.page(tx, Filter((subject,)), POSITION_MAX, 1).entries
    return newest[0].position if newest else 0


def back(tx: Transaction, which: Filter, before: int | None, limit: int) -> Page:
    """The newest events before a position that a filter lets through, newest first.

    Where all of one subject is asked for, also what each changed.
    """
    found = backwards.page(tx, which, before or POSITION_MAX, limit)
    following = found.position if found.more else None
    if not which.subjects or which.type or which.actor:
        return Page([told_alone(entry) for entry in found.entries], following)
    teller = Teller(which.subjects[0])
    if found.entries:
        teller.catch_up(tx, found.entries[-1].stored.originator_version - 1)
    return Page([teller.tell(entry) for entry in reversed(found.entries)][::-1], following)


def login_key(tx: Transaction, subject: str, until: str | None = None) -> str:
    """The fingerprint of the key that a host was logged in to with last; "" where none is known."""
    newest = [
        entry
        for event in (Registered, CredentialsRotated)
        for entry in backwards.page(
            tx, Filter((subject,), event.TOPIC, until=until), POSITION_MAX, 1
        ).entries
    ]
    if not newest:
        return ""
    told = _event(max(newest, key=lambda entry: entry.position).stored)
    return str(getattr(told, "key_fingerprint", ""))


def told_alone(entry: Entry) -> Record:
    """One event as a person asks for it, without what it changed."""
    return _told(entry, _event(entry.stored), {}, {})


class Teller:
    """Tells the events of one subject, which must come in order and without a hole."""

    def __init__(self, subject: str) -> None:
        kind, _, name = subject.partition("/")
        self.subject = subject
        self.version = 0
        self._login_key: str | None = None
        self._aggregate: Aggregate[Any] | None = None
        self._look: Callable[[Any], State] = _nothing
        if kind in LOOKS:
            make, self._look = LOOKS[kind]
            self._aggregate = make(name)

    def catch_up(self, tx: Transaction, version: int) -> None:
        """Take note of what comes before an event, and tell nothing."""
        while self.version < version:
            up_to = min(version, self.version + REPLAYED_EVENTS)
            for stored in recorder.stream(tx, self.subject, self.version, up_to):
                self._follow(_event(stored))
            self.version = up_to

    def tell(self, entry: Entry) -> Record:
        """One event as a person asks for it."""
        event = _event(entry.stored)
        before = self._state()
        self._follow(event)
        self.version = entry.stored.originator_version
        after = self._state() if self._aggregate is not None else before
        return _told(entry, event, before, after)

    def _follow(self, event: Event | None) -> None:
        if event is None:
            return
        try:
            if self._aggregate is not None:
                self._aggregate.apply(event)
        except Exception:  # noqa: BLE001 - it follows from one that could not be read
            self._aggregate = None
        self._login_key = getattr(event, "key_fingerprint", self._login_key)

    def _state(self) -> State:
        state = self._look(self._aggregate) if self._aggregate is not None else {}
        if state and self._login_key is not None:
            state["login_key"] = self._login_key
        return state


def cause(correlation: str) -> dict[str, str | None]:
    """What an event follows from: a request of a client, or what a runner worked on."""
    is_request = "/" not in correlation  # which no name of a request has
    return {
        "request": correlation if is_request and correlation else None,
        "follows_from": None if is_request else correlation,
    }


def _told(entry: Entry, event: Event | None, before: State, after: State) -> Record:
    return {
        "id": str(entry.position),
        "time": entry.recorded_at,
        "actor": event.actor if event else "",
        "subject": entry.stored.originator_id,
        "type": entry.stored.topic,
        "what": sentence(event) if event else "something that this version does not know",
        "changes": {
            key: {"before": before.get(key), "after": after.get(key)}
            for key in {**before, **after}
            if before.get(key) != after.get(key)
        },
        "why": why(event) if event else None,
        **cause(event.correlation if event else ""),
        **({"note": event.note} if event and event.note else {}),
    }


def _event(stored: StoredEvent) -> Event | None:
    try:
        return whole_event(stored)
    except Exception:  # noqa: BLE001 - a newer version wrote it, or somebody by hand
        return None


# What is looked at before and after.


def _nothing(aggregate: object) -> State:
    return {}


def _host(host: Host) -> State:
    if not host.registered:
        return {}
    state: State = {
        "status": host.status,
        "cluster": host.cluster or None,
        "remote_user": host.registration.remote_user,
        "ssh_port": host.registration.ssh_port,
        "source": host.registration.source or None,
        "host_key": host.pinned or None,
        "refused_host_key": host.refused or None,
    }
    for facts, prefix in ((host.facts, ""), (host.sourced, "sourced_")):
        for name in ("os", "cpus", "memory", "space"):
            state[prefix + name] = getattr(facts, name, None)
    return state


def _cluster(cluster: Cluster) -> State:
    if not cluster.exists:
        return {}
    return {
        "state": cluster.state,
        "network": cluster.network,
        "container_manager": cluster.container_manager or None,
        "hosts": len(cluster.members),
        "operation": cluster.operation or None,
    }


def _user(user: User) -> State:
    if not user.exists:
        return {}
    clusters = {f"role_in_{name}": role for name, role in user.standing.clusters}
    return {"role": user.standing.role, **clusters}


def _operation(operation: Operation) -> State:
    return {"status": operation.state} if operation.state else {}


LOOKS: Mapping[str, tuple[type[Aggregate[Any]], Callable[[Any], State]]] = {
    Host.KIND: (Host, _host),
    Cluster.KIND: (Cluster, _cluster),
    User.KIND: (User, _user),
    Operation.KIND: (Operation, _operation),
}
"""The aggregates that have something to show, and what."""
