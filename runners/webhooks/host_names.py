"""The addresses of a host name, found beside the event loop and within a limit.

The resolver of the machine may wait for a minute, and cannot be stopped. So each name that is
looked up has a thread of its own, and one at most: a name that hangs holds up no other.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import NamedTuple

LIMIT_S = 5.0
ADDRESSES_MAX = 4
"""So many addresses of a name are tried."""


class NoAddress(Exception):
    """There is none, or none was found in time; a sentence for people."""


class Place(NamedTuple):
    """Where a host is to be found."""

    host: str
    port: int


class HostNames:
    """Looks names up. On the event loop's thread only."""

    def __init__(self) -> None:
        self._under_way: dict[Place, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Some addresses of a host. Raises `NoAddress`."""
        place = Place(host, port)
        looking = self._under_way.get(place)
        if looking is None:
            looking = self._under_way[place] = self._look_up(place)
        if not (await asyncio.wait((looking,), timeout=LIMIT_S))[0]:
            raise NoAddress(f"Its name was not resolved within {LIMIT_S:g} seconds.")
        error = looking.exception()
        if error is not None:
            raise NoAddress(f"Its name cannot be resolved: {error}.")
        return looking.result()

    def _look_up(self, place: Place) -> "asyncio.Future[list[str]]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()

        def settle(found: list[str] | None, fault: str) -> None:
            self._under_way.pop(place, None)
            if found is not None:
                future.set_result(found)
            else:
                future.set_exception(NoAddress(fault))
                future.exception()  # nobody may be waiting any more

        def resolve() -> None:
            found, fault = None, ""
            try:
                found = _resolved(place)
            except (OSError, UnicodeError) as error:
                fault = getattr(error, "strerror", None) or "it is no name"
            with suppress(RuntimeError):  # the service has ended meanwhile
                loop.call_soon_threadsafe(settle, found, fault)

        # Daemons: the end of the service waits for none of them.
        threading.Thread(target=resolve, name="host-name", daemon=True).start()
        return future


def _resolved(place: Place) -> list[str]:
    found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
    # A scope (`%eth0`) is for addresses that are written down with it, not for names.
    each = dict.fromkeys(str(address[0]) for *_, address in found if "%" not in str(address[0]))
    return list(each)[:ADDRESSES_MAX]
