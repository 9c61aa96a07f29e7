"""Stories of one webhook in virtual time: its receiver and its process fail wherever they can."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from domain.aggregates.webhook import Terms
from domain.commands.webhook_commands import Kept
from domain.event import Act
from domain.log.follower import Follower
from domain.log.mapper import to_stored
from domain.log.recorder import Entry
from domain.log.unit import Unit
from projections.beside_the_log import webhook_deliveries
from projections.tables import MemoryTables
from projections.webhooks.following import Found, Wanted
from projections.webhooks.projection import WEBHOOKS, project
from projections.webhooks.queries import Known
from runners.webhooks.reading import Followed
from runners.webhooks.receiver import LIMIT_S, Answer
from runners.webhooks.sender import WebhookSender
from tests.simulation.clock import VirtualLoop
from tests.simulation.log import PlayedLog, PlayedUnit
from tests.support.webhook_receiver import SECRET, Received, must_be_delivered

NAME = "hook"
URL = "https://receiver.example/x7"
TERMS = Terms("https://receiver.example/********", [], [], "cloudevents", False, "")
EVENTS = 25
AWAY_S = LIFE_S = 300.0
"""A receiver is away, and a process lives, so long at most."""
LIMIT_OF_ALL_S = 24 * 3600.0


class PlayedWebhooks:
    """What the log says of the webhook."""

    def __init__(self, log: PlayedLog) -> None:
        self._log = log
        tables = MemoryTables()
        project(log.entries[0], tables)
        row = tables(WEBHOOKS).get(NAME)
        assert row is not None
        self._row = row

    async def names(self) -> list[str]:
        return [name for name, webhook in self._log.unit.webhooks.items() if webhook.exists]

    async def load(self, name: str) -> Followed | None:
        await asyncio.sleep(0)
        row = self._row
        cursor = webhook_deliveries.cursor(self._log.unit.tx, name, row.begun)
        return Followed(Known(row, cursor), Kept(URL, SECRET))

    async def following(self, wanted: Wanted, after: int) -> Found:
        await asyncio.sleep(0)
        entries = self._log.entries
        for recorded in entries[after:]:
            if wanted.takes(recorded.event):
                entry = Entry(recorded.position, recorded.recorded_at, to_stored(recorded.event))
                return Found(entry, entry.position, entry.position < len(entries))
        return Found(None, len(entries), more=False)

    def forget_secret_before(self, unit: Unit, name: str) -> None:
        """No secret of this story is rotated."""


class Receiver:
    """Takes messages, or fails before or after it took them, or is away for hours."""

    def __init__(self, chance: random.Random, loop: VirtualLoop, trouble: float) -> None:
        self._chance = chance
        self._loop = loop
        self._trouble = trouble
        self._away_until = 0.0
        self.taken: list[Received] = []

    async def send(self, url: str, ca_path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        chance = self._chance
        if chance.random() < self._trouble / 4:
            self._away_until = self._loop.time() + chance.uniform(0, AWAY_S)
        if self._loop.time() < self._away_until:
            await asyncio.sleep(chance.choice([0.01, LIMIT_S]))
            return Answer(0, 1, "It cannot be reached.")
        await asyncio.sleep(chance.uniform(0, 1))
        if chance.random() < self._trouble:
            return Answer(500, 1, "It answered 500.")
        self.taken.append(Received(headers, body, "/", 204))
        await asyncio.sleep(chance.uniform(0, 1))
        if chance.random() < self._trouble:
            return Answer(0, 1, "The answer was lost.")
        return Answer(204, 1, "")


class Story:
    """Events happen, and the process that sends them is killed at any of its writes."""

    def __init__(self, seed: int, loop: VirtualLoop, kind: type[WebhookSender]) -> None:
        self._chance = random.Random(seed)
        self._loop = loop
        self._kind = kind
        self._killed = asyncio.Event()
        self._deadly = self._chance.choice([0.0, 0.05, 0.2])
        self.unit = PlayedUnit()
        self.log = PlayedLog(self.unit, self._perhaps_die)
        for statement in webhook_deliveries.schema("sqlite"):
            self.unit.tx.execute(statement)
        self.receiver = Receiver(self._chance, loop, self._chance.choice([0.0, 0.1, 0.4]))
        self.deaths = 0

    async def play(self) -> None:
        """Until all is delivered; then it is judged."""
        self._do(lambda unit: unit.webhook(NAME).create(TERMS))
        happening = asyncio.create_task(self._happen())
        while not happening.done() or self._position() < len(self.log.entries):
            await self._live()
            assert self._loop.time() < LIMIT_OF_ALL_S, "it does not come to an end"
        await happening
        must_be_delivered(self.receiver.taken, range(1, len(self.log.entries) + 1))

    async def _live(self) -> None:
        """One life of the process."""
        self._killed.clear()
        follower = Follower(len(self.log.entries), self.log.after)
        self.log.on_commit = follower.push
        sender = self._kind(
            self.log,  # type: ignore[arg-type] # performs as a writer does
            PlayedWebhooks(self.log),
            self.receiver,
            now=self._loop.now,
            chance=self._chance,
            log=lambda event, /, level="info", **fields: None,
        )
        running = asyncio.create_task(sender.run(follower))
        dying = asyncio.create_task(self._killed.wait())
        await asyncio.wait((dying,), timeout=self._chance.uniform(1, LIFE_S))
        for task in (running, dying):
            task.cancel()
        ends = await asyncio.gather(running, dying, return_exceptions=True)
        assert isinstance(ends[0], asyncio.CancelledError), ends[0]

    async def _perhaps_die(self) -> None:
        if self._chance.random() < self._deadly:
            self.deaths += 1
            self._killed.set()
            await asyncio.Event().wait()

    async def _happen(self) -> None:
        for number in range(EVENTS):
            await asyncio.sleep(self._chance.choice([0, 0, 1, 20]))
            self._do(lambda unit, n=number: unit.cluster(f"c{n}").create("default", ""))

    def _do(self, command: Any) -> None:
        self.log.do(Act("alice", "request-1", self._loop.now()), command)

    def _position(self) -> int:
        return webhook_deliveries.cursor(self.unit.tx, NAME, 1).position


def play(seed: int, kind: type[WebhookSender] = WebhookSender) -> Story:
    """Play a story. Raises AssertionError where the promise was broken."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        story = Story(seed, loop, kind)
        loop.run_until_complete(story.play())
        return story
    finally:
        asyncio.set_event_loop(None)
        loop.close()
