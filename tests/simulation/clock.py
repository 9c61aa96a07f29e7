"""An event loop whose time passes only when everybody waits: hours take milliseconds."""

import asyncio
import selectors
from datetime import datetime, timedelta

from domain.event import TIME_FORMAT

BEGIN = datetime.fromisoformat("2026-01-02T03:04:05")


class NothingHappens(Exception):
    """Everybody waits for somebody else: it would be for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """There is no input and no output, so the order of everything is the order of the timers."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(_Leaps(self))

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.seconds

    def now(self) -> str:
        """The time as events have it."""
        return (BEGIN + timedelta(seconds=self.seconds)).strftime(TIME_FORMAT)


class _Leaps(selectors.SelectSelector):
    """Instead of waiting, moves the clock on."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready."""
        if timeout is None:
            raise NothingHappens
        self._loop.seconds += max(timeout, 0.0)
        return []
