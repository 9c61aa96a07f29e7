"""`/webhooks` and `/webhook/{name}`: where events of the log are sent to."""

import secrets as random_secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from domain import options
from domain.all_events import TYPES
from domain.commands import webhook_commands
from domain.commands.webhook_commands import (
    SECRET_PREFIX,
    WebhookRequest,
    checked_secret,
    checked_url,
)
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import invalid, not_found, unavailable
from projections.beside_the_log import webhook_deliveries
from projections.beside_the_log.webhook_deliveries import Attempt
from projections.reads import Reads
from projections.webhooks import queries
from web.events.events import must_be_text, no_type, subject_of
from web.http.replies import Reply, created, deleted, digested, json_body
from web.http.requests import Request
from web.resources.credentials import Secrets
from web.schemas import bodies
from web.schemas.path_names import known_name, new_name
from web.schemas.webhook_shapes import SecretBody, WebhookBody

SECRET_BYTES = 32

F = TypeVar("F")

TryWebhook = Callable[[str], Awaitable[Attempt | None]]
"""Sends a message for a trial to the webhook of this name; None where there is none."""


async def nobody_can_send(name: str) -> Attempt | None:
    """Refuse: this service sends nothing."""
    raise unavailable("Webhooks cannot be tried here.")


class Webhooks:
    """The handlers of `/webhooks` and `/webhook/{name}`."""

    def __init__(
        self, writer: Writer, reads: Reads, secrets: Secrets, try_webhook: TryWebhook
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._secrets = secrets
        self._try = try_webhook

    async def index(self, request: Request) -> Reply:
        """All webhooks, and how far each has come."""
        found = await self._reads.fresh(queries.every)
        return digested(request, json_body([known.record() for known in found]))

    async def show(self, request: Request) -> Reply:
        """One webhook; never its secret."""
        name = known_name(request, "webhook")
        found = await self._reads.fresh(queries.known, name)
        return digested(request, json_body(_found(found, name).record()))

    async def put(self, request: Request) -> Reply:
        """Have events sent there, or by other terms; a secret that is made is shown once."""
        name = new_name(request)
        wanted = _wanted(await bodies.read(request, WebhookBody))
        fresh, secrets = _new_secret(), self._secrets

        def command(unit: Unit) -> str:
            return webhook_commands.put_webhook(
                unit, secrets, name, wanted, fresh=fresh, count=queries.count
            )

        found, shown = await self._writer.perform(
            request.act(), command, lambda tx, shown: (queries.known(tx, name), shown)
        )
        record = _found(found, name).record() | {"secret": shown or None}
        return created(json_body(record))

    async def rotate(self, request: Request) -> Reply:
        """Sign with another secret from now on, and for a day with the one before it too."""
        name = known_name(request, "webhook")
        body = await bodies.read(request, SecretBody)
        given = checked_secret(body.secret) if body.secret is not None else ""
        secret, secrets = given or _new_secret(), self._secrets
        await self._writer.perform(
            request.act(),
            lambda unit: webhook_commands.rotate_secret(unit, secrets, name, secret),
        )
        return created(json_body({"secret": None if given else secret}))

    async def remove(self, request: Request) -> Reply:
        """Send nothing there any more, and destroy its secret."""
        name = known_name(request, "webhook")

        def command(unit: Unit) -> None:
            webhook_commands.remove_webhook(unit, self._secrets, name)
            unit.write_beside(partial(webhook_deliveries.forget, name=name))

        await self._writer.perform(request.act(), command)
        return deleted()

    async def test(self, request: Request) -> Reply:
        """Send a message for a trial at once, and say what came of it; deliveries have it, too."""
        name = known_name(request, "webhook")
        await bodies.read(request, bodies.NoBody)
        came = _found(await self._try(name), name)
        await self._writer.perform(
            request.act(),
            lambda unit: unit.write_beside(partial(queries.keep_test, name=name, test=came)),
        )
        return Reply(json_body(_told(came)))

    async def deliveries(self, request: Request) -> Reply:
        """The latest attempts to deliver, tests among them, the newest first."""
        name = known_name(request, "webhook")
        found = _found(await self._reads.fresh(queries.deliveries, name), name)
        return digested(request, json_body([_told(attempt) for attempt in found]))


def _wanted(body: WebhookBody) -> WebhookRequest:
    """What a body asks for, if it makes sense."""
    for name in body.types or ():
        kinds = {f"{topic.partition('.')[0]}.*" for topic in TYPES}
        if name not in TYPES and name not in kinds:
            raise no_type(name, "types")
    for subject in body.subjects or ():
        must_be_text(subject, "subjects")
    fault = options.absolute_path(body.ca_path) if body.ca_path else None
    if fault is not None:
        raise invalid(f"ca_path {fault}.", "ca_path")
    return WebhookRequest(
        checked_url(body.url),
        list(dict.fromkeys(body.types or ())),
        list(dict.fromkeys(map(subject_of, body.subjects or ()))),
        body.form or "cloudevents",
        bool(body.summaries),
        body.ca_path or "",
        checked_secret(body.secret) if body.secret is not None else "",
    )


def _new_secret() -> str:
    return SECRET_PREFIX + b64encode(random_secrets.token_bytes(SECRET_BYTES)).decode()


def _told(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": attempt.at,
        "position": attempt.position,
        "type": attempt.type,
        "subject": attempt.subject,
        "delivered": not attempt.reason,
        "status": attempt.status or None,
        "took_ms": attempt.took_ms,
        "reason": attempt.reason or None,
    }


def _found(found: F | None, name: str) -> F:
    if found is None:
        raise not_found(f"There is no webhook {name}: create it with PUT first.")
    return found
