"""The rows of the table of routes that are about webhooks: for administrators alone."""

from web.resources.webhooks import Webhooks
from web.routing.description import Content, Description, makes, reads, removes
from web.routing.route import Route
from web.schemas.bodies import NoBody
from web.schemas.webhook_shapes import (
    DeliveryRecord,
    NewSecretRecord,
    NewWebhookRecord,
    SecretBody,
    WebhookBody,
    WebhookRecord,
)

V0 = "/api/v0"
WEBHOOK = f"{V0}/webhook/{{name}}"
GONE, CLASH = "not_found", "conflict"

TRIES = Description(
    {200: Content(DeliveryRecord, done="It was sent; this is what came of it.")}, (GONE,), NoBody
)
ROTATES = Description({201: Content(NewSecretRecord, done="It was changed.")}, (GONE,), SecretBody)


def webhook_routes(webhooks: Webhooks) -> list[Route]:
    """Where events are sent to, and what came of it."""
    return [
        Route("GET", f"{V0}/webhooks", "admin", webhooks.index, reads(list[WebhookRecord])),
        Route("GET", WEBHOOK, "admin", webhooks.show, reads(WebhookRecord, GONE)),
        Route("PUT", WEBHOOK, "admin", webhooks.put, makes(NewWebhookRecord, WebhookBody)),
        Route("DELETE", WEBHOOK, "admin", webhooks.remove, removes(GONE, CLASH)),
        Route("POST", f"{WEBHOOK}/secret", "admin", webhooks.rotate, ROTATES),
        Route("POST", f"{WEBHOOK}/test", "admin", webhooks.test, TRIES),
        Route(
            "GET",
            f"{WEBHOOK}/deliveries",
            "admin",
            webhooks.deliveries,
            reads(list[DeliveryRecord], GONE),
        ),
    ]
