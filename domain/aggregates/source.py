"""An external inventory that owns hosts. It supplies facts of them, and it may fall silent.

fresh ⇄ stale, beginning with fresh
"""

from dataclasses import dataclass
from typing import ClassVar, assert_never

from domain.aggregate import Aggregate
from domain.event import Event


class SourceEvent(Event):
    """Something that happened to a source."""

    TOPIC = "source"


@dataclass(frozen=True)
class BecameStale(SourceEvent):
    """The source has failed for longer than its limit: the facts of its hosts are old."""

    TOPIC: ClassVar[str] = "source.became_stale"
    since: str
    """When it began to fail, in `TIME_FORMAT`."""
    reason: str
    """Why it fails, a sentence for people."""


@dataclass(frozen=True)
class CameBack(SourceEvent):
    """The source answers again."""

    TOPIC: ClassVar[str] = "source.came_back"


AnySourceEvent = BecameStale | CameBack


class Source(Aggregate[AnySourceEvent]):
    """One inventory, by its name in the settings."""

    KIND = "source"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.stale = False

    # Commands

    def become_stale(self, since: str, reason: str) -> None:
        """Say that it has failed for too long. Once; for another reason it is no news either."""
        if not self.stale:
            self.emit(BecameStale(since, reason))

    def come_back(self) -> None:
        """Record that the source answers again."""
        if self.stale:
            self.emit(CameBack())

    # State

    def apply(self, event: AnySourceEvent) -> None:
        """Fold one event into the state."""
        match event:
            case BecameStale():
                self.stale = True
            case CameBack():
                self.stale = False
            case _:
                assert_never(event)
