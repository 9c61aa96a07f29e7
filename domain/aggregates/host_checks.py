"""What is asked of looks at a host, and what they found: facts, and updates that wait."""

from domain.aggregate import Aggregate
from domain.aggregates.host_events import (
    AnyHostEvent,
    CheckRequested,
    FactsGathered,
    UpdatesFound,
)
from domain.event import shifted

CLOCK_AHEAD_S = 3600.0
"""Facts that are of so much later than now were stamped by a clock that was ahead."""


class CheckedHost(Aggregate[AnyHostEvent]):
    """A host as far as people ask for looks at it."""

    def _forget_checks(self) -> None:
        self.check_requested_at = ""
        self.updates_requested_at = ""
        self.updates: UpdatesFound | None = None
        self.facts: FactsGathered | None = None

    def must_exist(self) -> None:
        """Refuse what is asked of a host that is not registered."""
        raise NotImplementedError

    def request_check(self, not_since: str, *, updates: bool = False) -> None:
        """Have the host looked at now, unless somebody asked for that after `not_since`.

        `updates`: also for updates that wait.
        """
        self.must_exist()
        asked_at = self.updates_requested_at if updates else self.check_requested_at
        # A time to come is of a clock that was ahead.
        if not not_since < asked_at <= self.act.at:
            self.emit(CheckRequested(updates))

    def is_news(self, facts: FactsGathered, at: str) -> bool:
        """Whether the log has other facts, or has these as of a time that is yet to come.

        With those the last check would stand still until it is that time again.
        """
        known = self.facts
        return known is None or facts != known or known.at > shifted(at, CLOCK_AHEAD_S)

    def find_updates(self, found: UpdatesFound) -> None:
        """So many updates wait. The same again is no news."""
        if self.updates != found:
            self.emit(found)

    def _apply_check(self, event: CheckRequested | UpdatesFound) -> None:
        match event:
            case CheckRequested():
                self.check_requested_at = event.at
                if event.updates:
                    self.updates_requested_at = event.at
            case UpdatesFound():
                self.updates = event
