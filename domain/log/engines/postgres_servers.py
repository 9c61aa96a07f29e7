"""The servers that a URL names: each gets its try, and a dead one is tried last for a while."""

import socket
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from domain.log.engines.postgres_connection import NETWORK, Connection

CONNECT_TIMEOUT_S = 3
"""For each of the servers, where the URL has no `connect_timeout`."""
DEAD_FOR_S = 60.0
"""A server that swallowed an attempt is tried after the others for so long."""
READ_ONLY = ("session is read-only", "server is in hot standby mode")
"""What libpq says of a server that takes no writes, where the primary is wanted."""
ADDRESSES_MAX = 8
"""So many addresses of a name are tried."""
LISTS = ("host", "hostaddr", "port")
"""What may name several, with commas between."""

C = TypeVar("C", bound=Connection)


class Servers:
    """`on_use(host)` is told where connections go, each time that this changes.

    Used by several threads: what they write is one value each, and the last one counts.
    """

    def __init__(self, url: str, on_use: Callable[[str], None] = lambda host: None) -> None:
        params = NETWORK | {"connect_timeout": CONNECT_TIMEOUT_S} | conninfo_to_dict(url)
        count = max(len(str(params.get(name, "")).split(",")) for name in LISTS)
        if count > 1:  # of several, we want the primary
            params.setdefault("target_session_attrs", "read-write")
        self._each = [_nth(params, number) for number in range(count)]
        self.are_several = count > 1
        self._dead_until = [0.0] * count
        self._on_use = on_use
        self._in_use = ""
        self.why_not = ""
        """What the last attempt met; "" where it went well."""
        self.takes_no_writes = False
        """Whether the last attempt met a server that answers, and takes no writes."""
        self._left: set[str] = set()
        self._addresses = [1] * count
        self._silent_until: dict[str, float] = {}
        self._connect_timeout_s = float(str(params["connect_timeout"]))

    @property
    def attempts_s(self) -> float:
        """How long it takes where every server is dead."""
        return sum(self._addresses) * self._connect_timeout_s

    def connect(self, attempt: Callable[[str], C], limit_s: int | None = None) -> C:
        """A connection to the first that takes one. Raises `psycopg.OperationalError`.

        `limit_s` is for each, where the URL's is longer.
        """
        now = time.monotonic()
        order = sorted(range(len(self._each)), key=lambda number: self._dead_until[number] > now)
        told: list[str] = []
        takes_no_writes = False
        for number in order:
            try:
                connection = self._reached(number, attempt, limit_s)
            except psycopg.Error as error:
                if isinstance(error, errors.ConnectionTimeout):
                    self._dead_until[number] = time.monotonic() + DEAD_FOR_S
                takes_no_writes |= any(words in str(error) for words in READ_ONLY)
                told.append(f"{self._shown(number)}: {first_line(error)}")
            else:
                connection.place = self._shown(number)
                self._dead_until[number] = 0.0
                self._note(number)
                return connection
        self.why_not, self.takes_no_writes = "; ".join(told), takes_no_writes
        raise psycopg.OperationalError(self.why_not)

    def _reached(self, number: int, attempt: Callable[[str], C], limit_s: int | None) -> C:
        """To the first of its addresses that takes one; libpq gives them one limit together."""
        params, now = self._each[number], time.monotonic()
        if limit_s is not None:
            params = params | {"connect_timeout": min(limit_s, int(self._connect_timeout_s))}
        addresses = _addresses(params)
        self._addresses[number] = len(addresses)
        failed: psycopg.Error = psycopg.OperationalError("it has no address")
        for address in sorted(addresses, key=lambda one: self._silent_until.get(one, 0.0) > now):
            chosen = params | {"hostaddr": address} if address else params
            try:
                connection = attempt(make_conninfo("", **chosen))
                connection.introduce()
            except psycopg.Error as error:
                if isinstance(error, errors.ConnectionTimeout):
                    self._silent_until[address] = time.monotonic() + DEAD_FOR_S
                failed = error
            else:
                self._silent_until.pop(address, None)
                return connection
        raise failed

    def leave(self, place: str) -> None:
        """It takes no writes any more, and another one does: nothing is read there either."""
        self._left.add(place)

    def was_left(self, place: str) -> bool:
        """Whether connections to it are of no use any more."""
        return place in self._left

    def _note(self, number: int) -> None:
        self.why_not, self.takes_no_writes = "", False
        shown = self._shown(number)
        self._left.discard(shown)
        if shown != self._in_use:
            self._in_use = shown
            self._on_use(shown)

    def _shown(self, number: int) -> str:
        params = self._each[number]
        host = params.get("host") or params.get("hostaddr") or "localhost"
        return f"{host}:{params.get('port') or 5432}"


def connections_to(servers: Servers) -> type[Connection]:
    """What a pool makes its connections of."""

    class ToServers(Connection):
        """To whichever of the servers takes it."""

        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            return servers.connect(super().connect, kwargs.get("limit_s"))

    return ToServers


def first_line(error: Exception) -> str:
    """What went wrong, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _nth(params: dict[str, Any], number: int) -> dict[str, Any]:
    """The parameters of one of the servers; what is named once is of all of them."""
    lists = {name: str(params[name]).split(",") for name in LISTS if params.get(name)}
    chosen = {name: v[number] if len(v) > 1 else v[0] for name, v in lists.items()}
    return params | chosen


def _addresses(params: dict[str, Any]) -> list[str]:
    """All that a host's name has, where these are several; else "", for the driver to find."""
    host = str(params.get("host") or "")
    if not host or host.startswith(("/", "@")) or params.get("hostaddr"):
        return [""]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # the driver says what is wrong with it
        return [""]
    each = list(dict.fromkeys(str(address[0]) for *_, address in found))[:ADDRESSES_MAX]
    return each if len(each) > 1 else [""]
