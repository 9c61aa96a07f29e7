"""Events as they happen. A connection that breaks is made anew, from the last event on."""

import json
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from commctl.exits import Ended, Refused
from commctl.records import Event

if TYPE_CHECKING:
    from commctl.transport import Transport

READ_TIMEOUT_S = 40.0
"""The service says something every 15 s; after so long a silence the connection is dead."""
CONNECT_TIMEOUT_S = 5.0
PAUSE_S, PAUSE_MAX_S = 0.2, 3.0
AGAIN_FROM = 500
"""Answers of this status and above pass by; others are an answer."""


class Silence(NamedTuple):
    """Nothing to tell: the service lives, or since when (monotonic) it does not answer."""

    away_since: float | None


Told = Event | Silence


def follow(
    transport: "Transport", after: int, subjects: Sequence[str] = (), **query: str | None
) -> Iterator[Told]:
    """Each event after a position, once; for ever. Raises Refused or NoLogin."""
    import httpx
    from httpx_sse import SSEError, connect_sse

    pause, away_since = PAUSE_S, None
    wanted = {"subject": list(subjects), **{k: v for k, v in query.items() if v is not None}}
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    while True:
        try:
            with connect_sse(
                transport.http,
                "GET",
                "events/stream",
                params={**wanted, "after": after},
                timeout=timeout,
            ) as source:
                if source.response.status_code >= 400:
                    source.response.read()
                    refusal = transport.refusal(source.response)
                    if not transport.renew() and source.response.status_code < AGAIN_FROM:
                        raise refusal
                else:
                    pause, away_since = PAUSE_S, None
                    for said in source.iter_sse():
                        if said.id.isdecimal():
                            after = int(said.id)
                        yield json.loads(said.data) if said.data else Silence(None)
        except (httpx.TransportError, SSEError):
            away_since = away_since or time.monotonic()
            transport.renew()
        yield Silence(away_since)
        time.sleep(pause)
        pause = min(2 * pause, PAUSE_MAX_S)


class Listener:
    """The same in the background, for who has a screen and a keyboard to look after, too."""

    def __init__(self, events: Iterator[Told]) -> None:
        self._told: queue.SimpleQueue[Told | Exception] = queue.SimpleQueue()
        self._events = events
        # It waits for the service, which our end need not wait for.
        threading.Thread(target=self._listen, daemon=True, name="events").start()

    def _listen(self) -> None:
        try:
            for told in self._events:
                self._told.put(told)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._told.put(error)

    def next(self, wait_s: float) -> Told | None:
        """What comes next within a time, if anything. Raises what `follow` raises."""
        try:
            told = self._told.get(timeout=max(wait_s, 0.0))
        except queue.Empty:
            return None
        if isinstance(told, Ended):
            raise told
        if isinstance(told, Exception):
            raise Refused(f"The stream of events cannot be read: {told}.") from told
        return told
