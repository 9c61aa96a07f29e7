"""A message to a webhook that says no more than that it arrives."""

from collections.abc import Callable

from projections.beside_the_log.webhook_deliveries import Attempt
from runners.webhooks.message import trial
from runners.webhooks.sender import Receiver, Webhooks


class WebhookTrial:
    """Sends it at once, whatever is still to be sent, and whether it was given up or not."""

    def __init__(
        self,
        webhooks: Webhooks,
        receiver: Receiver,
        now: Callable[[], str],
        new_id: Callable[[], str],
    ) -> None:
        self._webhooks = webhooks
        self._receiver = receiver
        self._now = now
        self._new_id = new_id

    async def __call__(self, name: str) -> Attempt | None:
        """What came of it; None where there is no such webhook."""
        followed = await self._webhooks.load(name)
        if followed is None:
            return None
        at, kept = self._now(), followed.kept
        sent = trial(name, followed.form, at, self._new_id())
        headers = sent.headers(kept.secrets_at(at), at)
        answer = await self._receiver.send(kept.url, followed.ca_path, headers, sent.body)
        return Attempt(at, 0, sent.type, sent.subject, answer.status, answer.took_ms, answer.fault)
