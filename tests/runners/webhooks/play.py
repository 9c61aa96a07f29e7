"""The process manager on a store, and a real receiver that it sends to."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from domain.commands import fleet_commands, webhook_commands
from domain.commands.webhook_commands import READER, Kept, WebhookRequest
from domain.event import TIME_FORMAT, Act, Recorded, shifted
from domain.log.follower import Follower
from domain.log.follower import after as entries_after
from domain.log.recorder import entries, head
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.beside_the_log.webhook_deliveries import Attempt
from projections.reads import reads
from projections.webhooks import queries
from runners.leases.ownership import SINGLE_PROCESS, Ownership
from runners.scheduling.backoff import Pauses
from runners.security.vault import Vault
from runners.webhooks.reading import WebhookReader
from runners.webhooks.receiver import HttpReceiver
from runners.webhooks.sender import Patience, Tally, WebhookSender
from tests.support.stores import Store
from tests.support.webhook_receiver import SECRET, WebhookReceiver

QUICK = Patience(Pauses(0.01, 0.05))


class Play:
    """A sender that is started and stopped as the test likes; `later_s` moves its clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lines: list[dict[str, object]] = []
        self.vault = Vault(b"k" * 32)
        self.later_s = 0.0
        self.tallies: dict[str, Tally] = {}
        self.sender: WebhookSender | None = None
        self._writer: Writer | None = None

    @asynccontextmanager
    async def opened(
        self, patience: Patience = QUICK, ownership: Ownership = SINGLE_PROCESS
    ) -> AsyncIterator["Play"]:
        """Start at what the log says now; stop as a crash does."""
        engine = self.store.engine
        self.vault.open(engine)
        answers = reads(engine)

        async def pull(position: int) -> Sequence[Recorded]:
            return await answers.fresh(entries_after, position)

        with engine.snapshot() as tx:
            follower = Follower(head(tx).position, pull)
        loop = asyncio.get_running_loop()

        def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
            loop.call_soon_threadsafe(follower.push, previous, recorded)

        with self.store.writer(engine, on_commit=on_commit) as writer:
            self._writer = writer
            sender = WebhookSender(
                writer,
                WebhookReader(answers, self.vault),
                HttpReceiver(),
                now=self.now,
                chance=random.Random(1),
                log=self._line,
                ownership=ownership,
                patience=patience,
            )
            self.tallies, self.sender = sender.tallies, sender
            runner = asyncio.create_task(sender.run(follower))
            try:
                yield self
                assert not runner.done(), runner
            finally:
                runner.cancel()
                await asyncio.wait((runner,))
                answers.close()

    def now(self) -> str:
        """The clock of the sender."""
        return shifted(datetime.now(UTC).strftime(TIME_FORMAT), self.later_s)

    async def do(self, command: Any, at: str = "") -> Any:
        """Carry out a command, now or as of a time."""
        assert self._writer is not None
        return await self._writer.perform(Act("alice", "request-1", at or self.now()), command)

    async def put(self, there: WebhookReceiver | str, name: str = "hook", **more: Any) -> None:
        """As PUT does."""
        url = there if isinstance(there, str) else there.url
        terms: dict[str, Any] = {
            "types": [],
            "subjects": [],
            "form": "cloudevents",
            "summaries": False,
            "ca_path": "",
        }
        wanted = WebhookRequest(url, **{**terms, **more}, secret=SECRET)

        def command(unit: Unit) -> str:
            return webhook_commands.put_webhook(
                unit, self.vault, name, wanted, fresh=SECRET, count=queries.count
            )

        await self.do(command)

    async def happen(self, *names: str) -> None:
        """One event for each: a cluster of this name is created."""
        for name in names:
            await self.do(
                lambda unit, n=name: fleet_commands.create_cluster(unit, n, "default", "")
            )

    def record(self, name: str = "hook") -> dict[str, Any]:
        """What GET answers."""
        with self.store.engine.snapshot() as tx:
            known = queries.known(tx, name)
        assert known is not None
        return known.record()

    def kept(self, name: str = "hook") -> Kept:
        """What the vault has of it."""
        with self.store.engine.snapshot() as tx:
            sealed = self.vault.reveal(tx, f"webhook/{name}", READER)
        return webhook_commands.kept(sealed)

    def deliveries(self, name: str = "hook") -> list[Attempt]:
        """The latest attempts."""
        with self.store.engine.snapshot() as tx:
            found = queries.deliveries(tx, name)
        assert found is not None
        return found

    def events(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Topic and state of every event whose topic begins like this."""
        with self.store.engine.snapshot() as tx:
            found = [(e.stored.topic, orjson.loads(e.stored.state)) for e in entries(tx, 0, 10_000)]
        return [(topic, state) for topic, state in found if topic.startswith(kind)]

    def positions(self) -> list[int]:
        """Of all events of the log."""
        with self.store.engine.snapshot() as tx:
            return [entry.position for entry in entries(tx, 0, 10_000)]

    def said(self, event: str) -> list[dict[str, object]]:
        """The log lines of this kind."""
        return [line for line in self.lines if line["event"] == event]

    def _line(self, event: str, /, level: str = "info", **fields: object) -> None:
        self.lines.append({"event": event, "level": level, **fields})


def told(there: WebhookReceiver) -> list[str]:
    """Type and subject of what was taken, in order."""
    return [f"{one.event['type']} {one.event['subject']}" for one in there.taken]


@pytest.fixture
def play(sqlite_store: Store) -> Play:
    """A sender that is not started yet."""
    return Play(sqlite_store)


@pytest.fixture
def there() -> Iterator[WebhookReceiver]:
    """A receiver."""
    with WebhookReceiver() as running:
        yield running
