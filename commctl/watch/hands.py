"""What the keys of a watch do. Requests are made in the background: the screen waits for nobody."""

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from commctl.exits import Ended
from commctl.paths import in_path
from commctl.show.refusals import as_typed
from commctl.watch.progress import Progress
from commctl.watch.screen import Screen

if TYPE_CHECKING:
    from commctl.api import Api

TAIL_LINES = 15
LEAVING_S = 5.0
"""Who leaves waits so long at most for what was asked last."""


class Hands:
    """Do what keys stand for, one request at a time."""

    def __init__(self, api: "Api", name: str, progress: Progress, screen: Screen) -> None:
        self._api = api
        self._name = name
        self._progress = progress
        self._screen = screen
        self._asked = False
        self._request: threading.Thread | None = None
        self._answers: queue.SimpleQueue[tuple[str, list[str]]] = queue.SimpleQueue()
        self.message = ""
        self._told_last: list[str] = []
        """What was answered since the last key: the screen may not have shown it."""

    def do(self, key: str) -> bool:
        """Do what a key stands for; false to leave."""
        if not key:
            return True
        if key == "q":
            return False
        asked, self._asked, self.message, self._told_last = self._asked, False, "", []
        match key:
            case "p":
                self._steer("paused")
            case "r":
                self._steer("in_process")
            case "c":
                self._asked = True
                self.message = "Cancel it? Steps that run are ended. y: yes, any other key: no"
            case "y" if asked:
                self._steer("cancelled")
            case "o":
                self._show_output()
            case _:
                pass  # any other key
        return True

    def tell(self) -> None:
        """What came of the last request, once that is known."""
        if self._answers.empty():
            return
        messages, lines = self._told()
        if self._asked:  # the question stays; what is said stays above it
            lines = [*messages, *lines]
        else:
            self._told_last += messages
            self.message = " ".join(messages)
        if lines:
            self._screen.say(lines)

    def finish(self, wait_s: float = LEAVING_S) -> list[str]:
        """What was answered last, which the screen takes away with it; a request that is under way
        may still be answered."""
        if self._request is not None:
            self._request.join(wait_s)
        return [*self._told_last, *self._told()[0]]

    def _told(self) -> tuple[list[str], list[str]]:
        """The sentences and the lines of all answers that came."""
        messages: list[str] = []
        lines: list[str] = []
        while not self._answers.empty():
            message, more = self._answers.get()
            messages += [message] if message else []
            lines += more
        return messages, lines

    def _steer(self, state: str) -> None:
        def steer() -> tuple[str, list[str]]:
            self._api.steer(self._name, state)
            return "", []

        self._ask(steer)

    def _ask(self, work: Callable[[], tuple[str, list[str]]]) -> None:
        if self._request is not None and self._request.is_alive():
            self.message = "The service has not answered the last key yet."
            return

        def ask() -> None:
            try:
                answer = work()
            except Ended as ended:
                answer = " ".join(map(as_typed, ended.sentences)), []
            except Exception as error:  # noqa: BLE001 - told on the screen, which is not this thread's
                answer = f"It cannot be asked: {error}.", []
            self._answers.put(answer)

        # Nobody waits for it at the end: the connection may hang.
        self._request = threading.Thread(target=ask, daemon=True, name="key")
        self._request.start()

    def _show_output(self) -> None:
        running = [host.address for host in self._progress.in_process]
        address = next(iter([*running, *reversed(self._progress.ended)]), None)
        if address is None:
            self.message = "No host has said anything so far."
            return

        def output() -> tuple[str, list[str]]:
            path = f"operation/{self._name}/hosts/{in_path(address)}/output"
            lines = str(self._api.get(path)).splitlines()[-TAIL_LINES:]
            if not lines:
                return f"{address} has said nothing so far.", []
            return "", [f"{address} says:", *(f"  {line}" for line in lines)]

        self._ask(output)
