"""Sends each webhook its events, one after the other: the next one once this was taken.

How far a webhook has come is kept beside the log, after the receiver has answered. So a crash in
between sends an event once more, with the same id, and loses none. One that fails is sent again
after pauses that grow, and holds up its own webhook only. After days it is given up: an event.
"""

import asyncio
import random
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from domain.aggregates import webhook as events
from domain.aggregates.webhook import Webhook, WebhookEvent
from domain.commands.webhook_commands import READER, WEBHOOKS_MAX
from domain.event import Act, Recorded, shifted
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.beside_the_log import webhook_deliveries
from projections.beside_the_log.webhook_deliveries import Attempt, Cursor
from projections.webhooks.following import Found, Wanted
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet, permitted
from runners.scheduling.backoff import Pauses
from runners.scheduling.process_manager import UNRECORDED, Due, ProcessManager
from runners.scheduling.protocols import ServiceLogWrite
from runners.scheduling.work_queue import Priority, Requeue
from runners.webhooks.message import Message, message
from runners.webhooks.reading import Followed
from runners.webhooks.receiver import Answer

PARALLEL = 2 * WEBHOOKS_MAX
"""More than there are webhooks, also for those that have failed: none waits for another."""
PAUSES = Pauses(first_s=1.0, longest_s=3600.0)
GIVE_UP_AFTER_S = 3 * 24 * 3600.0
FAILURES_MIN = 10
"""Nothing is given up before so many attempts, whatever the clock says."""
AFTER_DEFECT_S = 60.0
SECRET_LOOK_S = 3600.0
"""So often is looked whether the day of a secret that was rotated is over."""
STOP_TIMEOUT_S = 0.5
"""How long the end of the service waits for answers; what was cut short is sent again."""
PASSED_OVER_MAX = 1000
"""After so many positions that are not for a webhook, that they were looked at is kept."""


class Webhooks(Protocol):
    """What the log says of webhooks; see `runners.webhooks.reading`."""

    async def names(self) -> list[str]: ...

    async def load(self, name: str) -> Followed | None: ...

    async def following(self, wanted: Wanted, after: int) -> Found: ...

    def forget_secret_before(self, unit: Unit, name: str) -> None: ...


class Receiver(Protocol):
    """Whoever is sent something; see `runners.webhooks.receiver`."""

    async def send(
        self, url: str, ca_path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer: ...


@dataclass(frozen=True)
class Patience:
    """How long pauses are, and after what time a webhook is given up."""

    pauses: Pauses = PAUSES
    give_up_after_s: float = GIVE_UP_AFTER_S
    failures_min: int = FAILURES_MIN


PATIENCE = Patience()


class Unkept(NamedTuple):
    """What came of an attempt, and is not in the database yet."""

    to: Cursor
    attempt: Attempt | None
    given_up_at: int | None


class Failing(NamedTuple):
    """Why the attempt of a time failed, and until when by the loop's clock none is made again."""

    reason: str
    at: str
    until: float


@dataclass
class Tally:
    """Attempts to deliver to one webhook, since this process has it, for the metrics."""

    delivered: int = 0
    failed: int = 0
    failing: bool = False


class WebhookSender(ProcessManager):
    """Sends to all webhooks whose keys, `webhook/NAME`, this process owns."""

    def __init__(
        self,
        writer: Writer,
        webhooks: Webhooks,
        receiver: Receiver,
        *,
        now: Callable[[], str],
        chance: random.Random,
        log: ServiceLogWrite,
        ownership: Ownership = SINGLE_PROCESS,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(PARALLEL, ownership=ownership)
        self._writer = writer
        self._webhooks = webhooks
        self._receiver = receiver
        self._now = now
        self._chance = chance
        self._log = log
        self._patience = patience
        self._wanted: dict[str, Wanted] = {}
        """What each takes, by key."""
        self._failing: dict[str, Failing] = {}
        """By key. News do not shorten the pause, also those that come during the attempt."""
        self._unkept: dict[str, Unkept] = {}
        """By key. Where the disk is full, nothing is sent again because it could not be kept."""
        self.tallies: dict[str, Tally] = {}
        """By name, of those that this process sends to."""

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """All webhooks of these shards: each looks for itself what there is to send."""
        keys = [f"{Webhook.KIND}/{name}" for name in await self._webhooks.names()]
        return [Due(key) for key in keys if self.owns(key, shards)]

    async def stop(self, timeout_s: float) -> None:
        """Send nothing more, and wait a moment for answers that are nearly there."""
        await super().stop(min(timeout_s, STOP_TIMEOUT_S))

    def notice(self, recorded: Recorded) -> None:
        """An event is sent to those that take it; one about a webhook has it begin at once."""
        event = recorded.event
        if isinstance(event, WebhookEvent) and self._ownership.holds(event.originator_id):
            self._failing.pop(event.originator_id, None)
            if isinstance(event, events.Removed):
                self._forget(event.originator_id)
                self._queue.forget(event.originator_id)
            else:
                self._queue.enqueue(event.originator_id)
        for key, wanted in self._wanted.items():
            if key not in self._failing and wanted.takes(event):
                self._queue.enqueue(key)

    def drop(self, keys: Container[str]) -> None:
        """Another process sends to these from now on."""
        super().drop(keys)
        for key in [key for key in {*self._wanted, *self._failing, *self._unkept} if key in keys]:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._wanted.pop(key, None)
        self._failing.pop(key, None)
        self._unkept.pop(key, None)
        self.tallies.pop(key.partition("/")[2], None)

    async def tick(self, key: str) -> Requeue | None:
        """Send a webhook the event that is next, if there is one; a defect is its own affair."""
        try:
            return await self._send_next(key)
        except UNRECORDED:
            raise
        except Exception as defect:  # noqa: BLE001 - others must not wait for whoever mends it
            self._log("webhook.defect", "error", webhook=key, error=type(defect).__name__)
            return Requeue(AFTER_DEFECT_S, Priority.RETRY)

    async def _send_next(self, key: str) -> Requeue | None:
        if unkept := self._unkept.get(key):
            await self._keep(key, *unkept)
        followed = await self._webhooks.load(key.partition("/")[2])
        later = None if followed is None else await self._forget_secret_before(key, followed)
        if followed is None or followed.known.row.state != "active":
            self._forget(key)
            return later
        self._wanted[key] = followed.wanted
        failing = self._failing.get(key)
        if failing is not None and _counts(failing.at, followed.known.row.asked_at, self._now()):
            left_s = failing.until - asyncio.get_running_loop().time()
            if left_s > 0:
                return Requeue(left_s, Priority.RETRY)
        tally = self.tallies.setdefault(followed.known.row.name, Tally())
        cursor = followed.known.cursor
        found = await self._webhooks.following(followed.wanted, cursor.position)
        if found.entry is None:
            return await self._pass_over(key, cursor, found) or later
        sent = message(found.entry, followed.form, found.summary)
        permitted(self._ownership, key)
        kept, at = followed.kept, self._now()
        headers = sent.headers(kept.secrets_at(at), at)
        answer = await self._receiver.send(kept.url, followed.ca_path, headers, sent.body)
        tally.failing = bool(answer.fault)
        if answer.fault:
            tally.failed += 1
            return await self._failed(key, followed, sent, answer, at)
        tally.delivered += 1
        to = cursor.well(sent.position)._replace(attempts=cursor.attempts + 1)
        await self._keep(key, to, _attempt(sent, answer, at))
        if cursor.failures or key in self._failing:
            self._failing.pop(key, None)
            self._log("webhook.delivers_again", webhook=cursor.name)
        return Requeue(0, Priority.CONTINUED)

    async def _forget_secret_before(self, key: str, followed: Followed) -> Requeue | None:
        """Destroy a secret whose day is over; says when to look again, where it is not."""
        now, name = self._now(), followed.known.row.name
        if followed.kept.is_outlived(now):
            forget = partial(self._webhooks.forget_secret_before, name=name)
            act = Act(READER, key, now)
            await self._writer.perform(act, self._ownership.fenced(key, forget))
            return None
        return Requeue(SECRET_LOOK_S, Priority.RETRY) if followed.kept.before else None

    async def _pass_over(self, key: str, cursor: Cursor, found: Found) -> Requeue | None:
        """Nothing of what was looked at is for it, also not what failed: its terms are others."""
        self._failing.pop(key, None)
        if cursor.failures or found.reached - cursor.position >= PASSED_OVER_MAX:
            await self._keep(key, cursor.well(found.reached))
            self.tallies[cursor.name].failing = False
        return Requeue(0, Priority.CONTINUED) if found.more else None

    async def _failed(
        self, key: str, followed: Followed, sent: Message, answer: Answer, at: str
    ) -> Requeue | None:
        cursor, asked_at = followed.known.cursor, followed.known.row.asked_at
        # Whoever has asked for it since, has seen to it: it begins anew.
        counts = cursor.failures > 0 and _counts(cursor.failing_since, asked_at, at)
        failures = cursor.failures + 1 if counts else 1
        since = min(cursor.failing_since, at) if counts else at  # the clock may have been ahead
        to = cursor._replace(
            attempts=cursor.attempts + 1,
            failures=failures,
            failing_since=since,
            reason=answer.fault,
        )
        patience, known = self._patience, self._failing.get(key)
        asked_s = min(answer.retry_after_s, patience.pauses.longest_s)
        pause_s = max(patience.pauses.after(failures, self._chance), asked_s)
        until = asyncio.get_running_loop().time() + pause_s
        self._failing[key] = Failing(answer.fault, at, until)
        if known is None or known.reason != answer.fault:
            self._log(
                "webhook.failed", "warning", webhook=to.name, type=sent.type, reason=answer.fault
            )
        ends = failures >= patience.failures_min and shifted(since, patience.give_up_after_s) <= at
        await self._keep(key, to, _attempt(sent, answer, at), sent.position if ends else None)
        if ends:
            self._log("webhook.gave_up", "error", webhook=to.name, since=since, reason=answer.fault)
            return None
        return Requeue(pause_s, Priority.RETRY)

    async def _keep(
        self,
        key: str,
        to: Cursor,
        attempt: Attempt | None = None,
        given_up_at: int | None = None,
    ) -> None:
        def keep(unit: Unit) -> None:
            unit.write_beside(partial(webhook_deliveries.move, to=to, attempt=attempt))
            if given_up_at is not None:
                unit.webhook(to.name).give_up(given_up_at, to.failing_since, to.reason)

        act = Act(READER, key, self._now())
        self._unkept[key] = Unkept(to, attempt, given_up_at)
        await self._writer.perform(act, self._ownership.fenced(key, keep))
        self._unkept.pop(key, None)


def _counts(failed_at: str, asked_at: str, now: str) -> bool:
    """Whether what failed then failed after somebody had asked for it.

    A clock that is behind the log cannot tell: then it does.
    """
    return failed_at >= asked_at or asked_at > now


def _attempt(sent: Message, answer: Answer, at: str) -> Attempt:
    return Attempt(
        at, sent.position, sent.type, sent.subject, answer.status, answer.took_ms, answer.fault
    )
