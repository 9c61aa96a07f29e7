"""Whether a database that failed somebody is away: asked beside those who work, so that nobody
waits for one that is."""

import threading
from collections.abc import Callable

ASK_EVERY_S = 0.5
"""How often a database that is away is asked whether it is back."""


class DatabaseWatch:
    """`answers()` asks the database, with limits of its own; while it does not, it is away."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._is_asking = False
        self._closed = threading.Event()
        self._answered = 0
        self.is_away = False

    def suspect(self) -> None:
        """Somebody was not answered: find out, in a thread that ends once the database answers."""
        with self._lock:
            if self._is_asking or self._closed.is_set():
                return
            self._is_asking = True
        threading.Thread(target=self._ask, name="database watch", daemon=True).start()

    def answered(self) -> None:
        """Somebody was answered: it is not away, whatever is found by who asked before that."""
        self._answered += 1
        self.is_away = False

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _ask(self) -> None:
        while not self._closed.is_set():
            before = self._answered
            is_away = not self._answers()
            self.is_away = is_away and before == self._answered
            if not self.is_away:
                break
            self._closed.wait(ASK_EVERY_S)
        with self._lock:
            self._is_asking = False
