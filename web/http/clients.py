"""Who is at the other end: the peer of the connection, or whom a trusted proxy speaks for.

`X-Forwarded-For` is a list to which each proxy appends the address that it was spoken to from, so
only its right end can be believed, and only as far as proxies that we trust have written it.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Scope

from domain.names import quoted

FORWARDED_FOR = b"x-forwarded-for"
PEERS_REMEMBERED = 4096
PORT_MAX = 65535

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

BRACKETED = re.compile(r"\[([^\[\]]*:[^\[\]]*)\](?::([0-9]{1,5}))?", re.ASCII)
WITH_PORT = re.compile(r"([0-9.]+):([0-9]{1,5})", re.ASCII)


class Client(NamedTuple):
    """Where a request comes from, as far as it is known."""

    address: str
    """Canonical; "" where the server does not say. What a limit or a log line goes by."""
    doubt: str = ""
    """Why this may be somebody on the way instead, in a sentence; "" where it is the client."""


class Clients:
    """Tells clients from the proxies that stand before them."""

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        # Clients come again and again, and asking for each is slower than many an answer.
        self._peer = lru_cache(PEERS_REMEMBERED)(self._judged)

    def of(self, scope: Scope) -> Client:
        """The client of a request: the peer, unless that is a proxy that is trusted."""
        peer = self._peer(str(scope["client"][0])) if scope.get("client") else Client("")
        if isinstance(peer, Client):
            return peer
        return self._forwarded(peer, _entries(scope["headers"]))

    def _judged(self, peer: str) -> "Client | Address":
        """A client, or the address of a proxy that is trusted."""
        address = _address(peer)
        if address is None:
            return Client(peer)
        return address if self._trusts(address) else Client(str(address))

    def _forwarded(self, proxy: Address, entries: Sequence[str]) -> Client:
        """The right-most entry that is no trusted proxy, or the first entry where all are."""
        last = str(proxy)
        if not entries:
            return Client(last, f"The proxy {last} did not send X-Forwarded-For.")
        for entry in reversed(entries):
            address = _entry_address(entry)
            if address is None:
                return Client(
                    last, f"The proxy {last} sent {quoted(entry)} in X-Forwarded-For: no address."
                )
            last = str(address)
            if not self._trusts(address):
                break
        return Client(last)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _entries(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """What stands between the commas; several lines are one list (RFC 9110, 5.3)."""
    lines = [value.decode("latin-1") for name, value in headers if name == FORWARDED_FOR]
    return [entry.strip(" \t") for entry in ",".join(lines).split(",")] if lines else []


def _entry_address(entry: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:443`."""
    found = BRACKETED.fullmatch(entry) or WITH_PORT.fullmatch(entry)
    bare, port = (found[1], found[2] or "0") if found else (entry, "0")
    address = _address(bare)
    if address is None or int(port) > PORT_MAX or "%" in bare:  # a zone is the proxy's affair
        return None
    # "Any" and "many" are no host.
    return None if address.is_unspecified or address.is_multicast else address


def canonical(peer: str) -> str:
    """An address as it is shown: IPv4 as such, also where it came mapped into IPv6."""
    return str(_address(peer) or peer)


def _address(text: str) -> Address | None:
    """An address, IPv4 where it is IPv4 mapped into IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
