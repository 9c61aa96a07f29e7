"""Months in the life of a fleet, written straight into the log: 1,000,000 events in about a minute.

The aggregates decide, so every stream is one that the service could have written; the read models
are folded as the events are made, and each of their rows is written once. What is left out is the
writer, with its queue and its commits.
"""

import random
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from domain.aggregate import Aggregate
from domain.aggregates.cluster import Cluster
from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from domain.event import Act, Event, Recorded
from domain.log.engine import Engine, Head
from domain.log.mapper import to_stored
from domain.log.recorder import now
from domain.log.transaction import Transaction
from domain.log.unit import load
from projections.all import PROJECTIONS
from projections.rebuilding.live_tables import LiveTables
from projections.tables import MemoryTables

SEED = 20
CLUSTERS = 50
FAILED_AT_ONCE = 50
TRANSACTION_EVENTS = 20_000
LOCK_TIMEOUT_S = 60.0

A = TypeVar("A", bound=Aggregate[Any])

INSERT = """
    INSERT INTO stored_events (originator_id, originator_version, topic, state, recorded_at)
    VALUES (?, ?, ?, ?, ?)
"""


def pass_months(engine: Engine, addresses: Sequence[str], event_count: int) -> None:
    """Let so many events happen to hosts that are set up, in no cluster, and not failed.

    At the end none of them is failed; some are in clusters.
    """
    if event_count <= 0:
        return
    with engine.append(LOCK_TIMEOUT_S) as appending:
        months = Months(appending.tx, addresses)
    while months.event_count < event_count:
        wanted = min(event_count, months.event_count + TRANSACTION_EVENTS)
        with engine.append(LOCK_TIMEOUT_S) as appending:
            months.go_on(appending.tx, Head(*appending.head[:2]), wanted)
            appending.commit()
    with engine.append(LOCK_TIMEOUT_S) as appending:
        months.end(appending.tx, Head(*appending.head[:2]))
        appending.commit()


class Months:
    """What happens next is decided by chance, always the same from one run to the next."""

    def __init__(self, tx: Transaction, addresses: Sequence[str]) -> None:
        self.event_count = 0
        self._chance = random.Random(SEED)
        self._hosts = [load(tx, Host, address) for address in addresses]
        self._clusters = [load(tx, Cluster, f"months-{n}") for n in range(CLUSTERS)]
        self._failed: deque[Host] = deque()
        self._pending: list[Event] = []
        self._tables = MemoryTables()
        for table in (table for projection in PROJECTIONS for table in projection.tables):
            for row in tx.execute(table.scan).fetchall():
                self._tables(table).put(table.row(*row))
        self._act = Act("months", "months", "")
        for cluster in self._clusters:
            self._use(cluster)
            cluster.create("default", "")

    def go_on(self, tx: Transaction, head: Head, event_count: int) -> None:
        """Until there were so many events."""
        while self.event_count + len(self._pending) < event_count:
            self._act = Act("months", "months", now())
            self._happen()
            if len(self._pending) > 500:
                head = self._store(tx, head)
        self._store(tx, head)

    def end(self, tx: Transaction, head: Head) -> None:
        """Everybody recovers, and the read models are written."""
        while self._failed:
            self._recover(self._failed.popleft())
        head = self._store(tx, head)
        for table in (table for projection in PROJECTIONS for table in projection.tables):
            for row in self._tables(table).rows.values():
                tx.execute(table.upsert, table.values(row))
        LiveTables(PROJECTIONS).save_position(tx, head.position)

    def _happen(self) -> None:
        host = self._use(self._chance.choice(self._hosts))
        what = self._chance.random()
        if what < 0.3 and host.status != "failed":
            host.fail("unreachable", "The host did not answer within 10 seconds.")
            self._failed.append(host)
            if len(self._failed) > FAILED_AT_ONCE:
                self._recover(self._failed.popleft())
        elif what < 0.6 and host.status != "failed":
            memory = 8_000_000 + self._chance.randrange(8_000_000)
            boot = f"{self._chance.getrandbits(128):036x}"
            host.gather_facts(FactsGathered("fedora", "43", 8, memory, 104_857_600, boot))
        elif what < 0.75 and host.status != "failed":
            self._move(host)
        else:
            host.read_credentials()

    def _recover(self, host: Host) -> None:
        self._use(host).gather_facts(host.facts or FactsGathered("fedora", "43", 8, 1, 1, "boot"))

    def _move(self, host: Host) -> None:
        if host.cluster:
            number = int(host.cluster.partition("-")[2])
            self._use(self._clusters[number]).drop(host.name)
            host.leave_cluster()
        else:
            cluster = self._use(self._chance.choice(self._clusters))
            cluster.add(host.name)
            host.join_cluster(cluster.name)
            host.activate()

    def _use(self, aggregate: A) -> A:
        aggregate.act, aggregate.pending = self._act, self._pending
        return aggregate

    def _store(self, tx: Transaction, head: Head) -> Head:
        recorded_at, rows = max(now(), head.recorded_at), []
        for number, event in enumerate(self._pending, head.position + 1):
            stored = to_stored(event)
            version, topic = stored.originator_version, stored.topic
            rows.append((stored.originator_id, version, topic, stored.state, recorded_at))
            for projection in PROJECTIONS:
                projection.project(Recorded(number, recorded_at, event), self._tables)
        for row in rows:
            tx.execute(INSERT, row)
        self.event_count += len(rows)
        head = Head(head.position + len(rows), recorded_at)
        self._pending.clear()
        return head
