"""A subscription to the log, for tools of the package `eventsourcing`."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import count

from eventsourcing.persistence import (
    ApplicationRecorder,
    InterfaceError,
    Notification,
    OperationalError,
    ProgrammingError,
    Subscription,
)

from domain.log.engine import Stopped, Unusable

LOOK_EVERY_S = 1.0
FOUND_MAX = 500
PAUSES_S = (1.0, 2.0, 5.0, 10.0)
"""Between attempts while the database is away; the last one again and again."""


class LogSubscription(Subscription[ApplicationRecorder]):
    """Every entry after a position, in order, once; it outlives a database that is away.

    Raises ProgrammingError where the log ends before what was told of it already: a database was
    restored, and a read model that was made from it has to be made anew.
    """

    def __init__(
        self, recorder: ApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._after = gt or 0
        self._found: deque[Notification] = deque()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End whoever iterates, from any thread."""
        super().stop()
        self._stopping.set()

    def __next__(self) -> Notification:
        """The next entry, once there is one."""
        failures = count()
        while not self._found:
            try:
                self._look()
            except (Stopped, Unusable):
                raise  # trying again does not help
            except (InterfaceError, OperationalError):  # the database is away
                self._wait(PAUSES_S[min(next(failures), len(PAUSES_S) - 1)])
            else:
                if not self._found:
                    self._wait(LOOK_EVERY_S)
        return self._found.popleft()

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise StopIteration

    def _look(self) -> None:
        if self._stopping.is_set():
            raise StopIteration
        end = self._recorder.max_notification_id() or 0
        if end < self._after:
            raise ProgrammingError(f"The log ends at position {end}, before {self._after}.")
        while self._after < end and not self._found and not self._stopping.is_set():
            page = self._recorder.select_notifications(
                self._after, FOUND_MAX, end, inclusive_of_start=False
            )
            self._after = page[-1].id if page else end
            self._found.extend(
                each for each in page if not self._topics or each.topic in self._topics
            )
