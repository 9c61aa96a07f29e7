"""Names and addresses as users write them, and the one canonical form that everything uses."""

import ipaddress
import re
from collections.abc import Sequence

from domain.refusal import invalid

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
"""Of new users and tokens; those of old files may be others."""
OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Neither "any" (0.0.0.0) nor "many" (224.0.0.0/4).
IPV4 = re.compile(rf"(?!0\.0\.0\.0$)(?!22[4-9]\.|23[0-9]\.)({OCTET}\.){{3}}{OCTET}", re.ASCII)
HOST_NAME_CHARACTERS_MAX = 253
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
SHOWN_MAX = 5
REMOTE_USER = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9.-]{0,63}\\)?[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?(@[A-Za-z0-9][A-Za-z0-9.-]{0,252})?",
    re.ASCII,
)
"""Also those of directories: `user@domain` and `DOMAIN\\user`."""


def resource_name(text: str, what: str = "name") -> str:
    """The name of a cluster, network or container manager, unchanged, or a refusal."""
    if not NAME.fullmatch(text):
        raise invalid(
            f"{quoted(text)} is no {what}: use 1 to 64 of A-Z a-z 0-9 - _.",
        )
    return text


def account_name(text: str, what: str) -> str:
    """The name of a new user or token, unchanged, or a refusal."""
    if not ACCOUNT_NAME.fullmatch(text):
        raise invalid(
            f"A {what} name is 1 to 64 of A-Z a-z 0-9 . _ @ + - and begins with a letter or digit."
        )
    return text


def host_address(text: str, key: str | None = None) -> str:
    """The canonical form of an IPv4 or IPv6 address or an RFC 1123 host name, or a refusal.

    IPv6 is compressed and in lower case, IPv4-mapped IPv6 becomes IPv4, names lose their
    capitals. What a resolver would read as a number (`10.1`, `0x0a000001`) is refused, because it
    would be a second way to name a host: the last label of a name must not be numeric
    (WHATWG URL, "ends in a number").
    """
    if IPV4.fullmatch(text):
        return text  # nearly all are; a list of thousands takes a tenth of the time
    address = _ip_address(text) or _host_name(text)
    if address is None:
        raise invalid(
            f"{quoted(text)} is no host address: use an IPv4 or IPv6 address or a host name.", key
        )
    return address


def _ip_address(text: str) -> str | None:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None  # a zone is a name of one machine's interface, not of a host
        # Asked first: to Python 3.13 and later a mapped one is link-local as its IPv4 address is.
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address.is_link_local:
            return None  # it is one on each link, and without its zone it can never be reached
    if address.is_unspecified or address.is_multicast:
        return None  # "any" and "many" are no host
    return str(address)


def _host_name(text: str) -> str | None:
    if not text.isascii() or len(text) > HOST_NAME_CHARACTERS_MAX:
        return None
    labels = text.lower().split(".")
    if not all(LABEL.fullmatch(label) for label in labels):
        return None
    last = labels[-1]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return None
    return ".".join(labels)


def remote_user(text: str) -> str:
    """An account name as Linux systems allow it (`useradd`, shadow-utils), or a refusal."""
    if not REMOTE_USER.fullmatch(text):
        raise invalid(
            "remote_user must be an account name: a letter or _, then up to 31 of"
            " A-Z a-z 0-9 _ . -; or user@domain, or DOMAIN\\user",
            "remote_user",
        )
    return text


def quoted(text: str, characters_max: int = 80) -> str:
    """What a client sent, safe and short enough to be shown back."""
    shown = text[:characters_max].encode("unicode_escape").decode("ascii")
    return f"'{shown}'" if len(text) <= characters_max else f"'{shown}…'"


def some(found: Sequence[str]) -> str:
    """The first few of many names, and how many more there are."""
    more = len(found) - SHOWN_MAX
    return ", ".join(found[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
