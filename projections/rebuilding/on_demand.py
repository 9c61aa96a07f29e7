"""Verification while the service runs: one at a time, in a thread that gives way to the others."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from domain.log.engine import Engine, PersistenceError
from domain.log.recorder import now as machine_now
from domain.refusal import conflict
from projections.projection import Projection
from projections.rebuilding.verification import Verdict, verify

LOG = logging.getLogger(__name__)
BATCH_EVENTS = 100
PAUSE_S = 0.002
"""After each batch, which takes about a millisecond."""
STOP_TIMEOUT_S = 10.0


class Verified(NamedTuple):
    """What the last verification found. Times are in `TIME_FORMAT`."""

    begun: str
    ended: str
    """"" while it runs."""
    share: float
    """How much of the log was read, up to 1."""
    verdicts: Sequence[Verdict]
    wrong: str
    """Why there is no verdict; "" where nothing came between."""


class Stopping(Exception):
    """The service is."""


class Verifying:
    """Verifies when it is asked to, and keeps what it found."""

    def __init__(
        self,
        engine: Engine,
        projections: Sequence[Projection],
        now: Callable[[], str] = machine_now,
    ) -> None:
        self._engine = engine
        self._projections = projections
        self._now = now
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._thread: threading.Thread | None = None
        """One for all that are asked for: a thread has a connection until the engine is closed."""
        self._is_stopping = False
        self.last: Verified | None = None

    def begin(self) -> None:
        """Begin to verify. Refuses a second one beside the first."""
        if self.last is not None and not self.last.ended:
            raise conflict("The read models are being verified already.")
        begun = self._now()
        self.last = Verified(begun, "", 0.0, (), "")
        self._asked.put(begun)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="verifying", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End what runs."""
        self._is_stopping = True
        self._asked.put("")
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_stopping:
            if begun := self._asked.get():
                self._verify(begun)

    def _verify(self, begun: str) -> None:
        verdicts: Sequence[Verdict] = ()
        wrong = "It fell over: standard error of the service says over what. Verify again."
        try:
            advance = partial(self._advance, begun)
            verdicts = verify(self._engine, self._projections, advance, BATCH_EVENTS)
            wrong = ""
        except PersistenceError:
            wrong = "The database did not answer."
        except Stopping:
            wrong = "The service stopped."
        except Exception:
            LOG.exception("the verification fell over")
        finally:
            self.last = Verified(begun, self._now(), 1.0, verdicts, wrong)

    def _advance(self, begun: str, position: int, head: int) -> None:
        if self._is_stopping:
            raise Stopping
        self.last = Verified(begun, "", position / max(head, 1), (), "")
        time.sleep(PAUSE_S)
