"""Whoever runs beside the service, and is held up by its surroundings: in `/readyz`, and in the
log, which the same reason does not fill."""

import time
from collections.abc import Callable

from runners.observability.readiness import Check, Fault

HELD_UP_FOR_S = 60.0
"""How long somebody counts as held up after an error; nobody tells that it went well."""
SAY_EVERY_S = 600.0
"""How often the same reason is said again."""


class HeldUp:
    """One runner, by its name."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._reason = ""
        self._at = self._said_at = 0.0

    def note(self, reason: str) -> bool:
        """It was held up; gives whether that is to be said."""
        now = self._clock()
        is_new = reason != self._reason or now - self._at >= HELD_UP_FOR_S
        self._reason, self._at = reason, now
        if is_new or now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            return True
        return False

    def check(self, running: Check) -> Check:
        """As ever, and a warning where it was held up a moment ago."""

        async def check() -> Fault | None:
            if fault := await running():
                return fault
            if not self._reason or self._clock() - self._at >= HELD_UP_FOR_S:
                return None
            why = f"The runner {self._name} was held up: {self._reason.rstrip('.')}."
            return Fault("runner.held_up", why, warns=True)

        return check
