"""Bodies of requests about webhooks, and their records."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from domain.commands.webhook_commands import MASK, SUBJECTS_MAX, TYPES_MAX, URL_CHARACTERS_MAX
from web.schemas.bodies import Exact
from web.schemas.examples import example
from web.schemas.records import Record

Form = Literal["cloudevents", "text"]
Texts = list[Annotated[str, Field(min_length=1, max_length=256)]]
TIME = "2015-12-17T15:48:18.710454"
BODY_EXAMPLE: JsonDict = {
    "url": "https://receiver.example/hooks/commissaire",
    "types": ["operation.*", "host.failed"],
    "summaries": True,
}
RECORD_EXAMPLE: JsonDict = {
    "name": "tickets",
    "url": f"https://receiver.example/{MASK}",
    "types": ["operation.*", "host.failed"],
    "subjects": [],
    "form": "cloudevents",
    "summaries": True,
    "ca_path": None,
    "status": "active",
    "position": 117,
    "failures": 0,
    "failing_since": None,
    "reason": None,
}
DELIVERY_EXAMPLE: JsonDict = {
    "at": TIME,
    "position": 117,
    "type": "host.failed",
    "subject": "host/10.0.0.7",
    "delivered": False,
    "status": 500,
    "took_ms": 12,
    "reason": "It answered 500.",
}
Secret = Annotated[str, Field(min_length=1, max_length=256)]


class WebhookBody(Exact):
    """Where events are sent, and which; what is left out has its default, but for the secret."""

    url: str = Field(
        min_length=1,
        max_length=URL_CHARACTERS_MAX,
        repr=False,
        description="Of an existing webhook also as it is shown, with its mask.",
    )
    types: Texts | None = Field(
        None,
        max_length=TYPES_MAX,
        description="As `/events` has them, or kinds such as `host.*`; all where none is named.",
    )
    subjects: Texts | None = Field(
        None, max_length=SUBJECTS_MAX, description="Of all where none is named."
    )
    form: Form | None = Field(None, description="`cloudevents` where it is not said.")
    summaries: bool | None = Field(
        None, description="Of operations, leave out what goes well on single hosts."
    )
    ca_path: str | None = Field(
        None,
        description="A file of certificates on the machine of the service, to check TLS by.",
    )
    secret: Secret | None = Field(
        None,
        repr=False,
        description="`whsec_` and base64. Without one it is made for a new webhook, and stays as"
        " it is for another.",
    )

    model_config = example(**BODY_EXAMPLE)


class SecretBody(Exact):
    """The secret to sign with from now on; one is made where none is said."""

    secret: Secret | None = Field(None, repr=False)

    model_config = example()


class WebhookRecord(Record):
    """A webhook, and how far it has come."""

    name: str
    url: str = Field(description="With a mask in place of its path and query.")
    types: list[str]
    subjects: list[str]
    form: Form
    summaries: bool
    ca_path: str | None
    status: Literal["active", "failing", "given_up"]
    position: int = Field(description="All events up to here were delivered, or are not for it.")
    failures: int = Field(description="Attempts in a row to deliver the next one that failed.")
    failing_since: str | None
    reason: str | None = Field(description="Why the last attempt failed.")

    model_config = example(**RECORD_EXAMPLE)


class NewWebhookRecord(WebhookRecord):
    """A webhook as a request left it."""

    secret: str | None = Field(description="Where it was made by this request: shown this once.")

    model_config = example(**RECORD_EXAMPLE | {"secret": "whsec_…"})


class NewSecretRecord(Record):
    """Another secret of a webhook."""

    secret: str | None = Field(description="Where it was made by this request: shown this once.")

    model_config = example(secret="whsec_…")  # noqa: S106 - none


class DeliveryRecord(Record):
    """An attempt to deliver an event."""

    at: str
    position: int = Field(description="Of the event; 0 of a test.")
    type: str
    subject: str
    delivered: bool
    status: int | None = Field(description="What was answered; null where nothing was.")
    took_ms: int
    reason: str | None = Field(description="Why it was not delivered.")

    model_config = example(**DELIVERY_EXAMPLE)
