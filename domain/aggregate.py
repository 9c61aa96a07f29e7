"""What all aggregates share: a stream of events, and the state that they add up to."""

from collections.abc import Iterable
from typing import ClassVar, Generic, Self, TypeVar

from domain.event import Act, Event

E = TypeVar("E", bound=Event)

NOBODY = Act(actor="", correlation="", at="")


class Aggregate(Generic[E]):
    """A subject with a stream of its own. Version 0 is a subject that nothing is known of.

    Commands are methods that refuse (`Refusal`) or `emit` events; `apply` folds one event into
    the state and decides nothing. A subject that was removed may come back: its stream goes on.
    """

    KIND: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        self.id = f"{self.KIND}/{name}"
        self.version = 0
        self.act = NOBODY
        self.pending: list[Event] = []

    def apply(self, event: E) -> None:
        """Fold one event into the state."""
        raise NotImplementedError

    def emit(self, event: E) -> None:
        """Make it happen: stamp, fold, and keep it for the log."""
        event.stamp(self.id, self.version + 1, self.act)
        self.apply(event)
        self.version += 1
        self.pending.append(event)

    @classmethod
    def replay(cls, name: str, events: Iterable[E]) -> Self:
        """The subject as the events left it, which must be its whole stream from the start."""
        aggregate = cls(name)
        aggregate.follow(events)
        return aggregate

    def follow(self, events: Iterable[E]) -> None:
        """Fold further events of this stream, which must go on where the state ends."""
        for event in events:
            if event.originator_version != self.version + 1:
                raise ValueError(
                    f"{self.id} has a hole: version {event.originator_version}"
                    f" follows {self.version}"
                )
            self.apply(event)
            self.version = event.originator_version
