"""A webhook: where events of the log are sent to, each once it is stored, in order.

created → removed, with given_up in between, until somebody asks for it again. A name that was
removed may be created again: its stream goes on. The path of its URL, which may be all that the
receiver knows a sender by, and the secret that messages are signed with are kept where secrets
are, and are in no event.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

from domain.aggregate import Aggregate
from domain.event import Event
from domain.refusal import not_found

State = Literal["", "active", "given_up"]
Form = Literal["cloudevents", "text"]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"active"}),
    "active": frozenset({"given_up", ""}),
    "given_up": frozenset({"active", ""}),
}
"""The life cycle: which state follows which. "" is a webhook that does not exist."""


@dataclass(frozen=True)
class Terms:
    """What is sent, and how: all of it is for everybody to see."""

    url: str
    """Where to, with a mask in place of its path and query."""
    types: list[str]
    """Types of events, or kinds of them such as `host.*`; all where there is none."""
    subjects: list[str]
    """Of which subjects; of all where there is none."""
    form: Form
    summaries: bool
    """Whether the steps of operations on single hosts are left out."""
    ca_path: str
    """A file of certificates that the receiver's is checked by; "" is what the machine trusts."""


class WebhookEvent(Event):
    """Something that happened to a webhook."""

    TOPIC = "webhook"


@dataclass(frozen=True)
class Created(WebhookEvent):
    """Somebody asked for this webhook: events from here on are sent, this one among them."""

    TOPIC: ClassVar[str] = "webhook.created"
    url: str
    types: list[str]
    subjects: list[str]
    form: Form
    summaries: bool
    ca_path: str


@dataclass(frozen=True)
class Changed(WebhookEvent):
    """It is another one in place of that; what is masked in the URL may be what changed."""

    TOPIC: ClassVar[str] = "webhook.changed"
    url: str
    types: list[str]
    subjects: list[str]
    form: Form
    summaries: bool
    ca_path: str


@dataclass(frozen=True)
class SecretRotated(WebhookEvent):
    """Messages are signed with another secret, and with the one before it too for a while."""

    TOPIC: ClassVar[str] = "webhook.secret_rotated"
    both_until: str


@dataclass(frozen=True)
class GaveUp(WebhookEvent):
    """Nothing is sent any more: the event at `position` could not be delivered for too long."""

    TOPIC: ClassVar[str] = "webhook.gave_up"
    position: int
    since: str
    """When it began to fail, in `TIME_FORMAT`."""
    reason: str
    """Why the last attempt failed, a sentence for people."""


@dataclass(frozen=True)
class Resumed(WebhookEvent):
    """It goes on from the event that could not be delivered."""

    TOPIC: ClassVar[str] = "webhook.resumed"


@dataclass(frozen=True)
class Removed(WebhookEvent):
    """Nothing is sent any more; the URL and the secret are destroyed."""

    TOPIC: ClassVar[str] = "webhook.removed"


AnyWebhookEvent = Created | Changed | SecretRotated | GaveUp | Resumed | Removed


class Webhook(Aggregate[AnyWebhookEvent]):
    """Somewhere that events are sent to."""

    KIND = "webhook"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.state: State = ""
        self.terms: Terms | None = None

    @property
    def exists(self) -> bool:
        """Whether it was created, and not removed since."""
        return self.state != ""

    def must_exist(self) -> None:
        """Refuse what is asked of one that does not exist."""
        if not self.exists:
            raise not_found(f"There is no webhook {self.name}: create it with PUT first.")

    # Commands

    def create(self, terms: Terms) -> None:
        """Send events from here on."""
        self.emit(Created(**vars(terms)))

    def change(self, terms: Terms, *, elsewhere: bool = False) -> None:
        """Send by these terms; `elsewhere`: to another URL. The same again is no event, but where
        it was given up: then it goes on."""
        if elsewhere or terms != self.terms:
            self.emit(Changed(**vars(terms)))
        if self.state == "given_up":
            self.emit(Resumed())

    def rotate_secret(self, both_until: str) -> None:
        """Sign with another secret from now on, and with the one before it too until then."""
        self.must_exist()
        self.emit(SecretRotated(both_until))

    def give_up(self, position: int, since: str, reason: str) -> None:
        """Send nothing until somebody asks for it again. Once, and not of one that is gone."""
        if self.state == "active":
            self.emit(GaveUp(position, since, reason))

    def remove(self) -> None:
        """Send nothing any more."""
        self.must_exist()
        self.emit(Removed())

    # State

    def apply(self, event: AnyWebhookEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Created():
                self._become("active")
                self.terms = _terms(event)
            case Changed():
                self.terms = _terms(event)
            case SecretRotated():
                pass  # what it is, is kept elsewhere
            case GaveUp():
                self._become("given_up")
            case Resumed():
                self._become("active")
            case Removed():
                self._become("")
                self.terms = None
            case _:
                assert_never(event)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state


def _terms(event: Created | Changed) -> Terms:
    return Terms(event.url, event.types, event.subjects, event.form, event.summaries, event.ca_path)
