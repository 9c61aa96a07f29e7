"""Options of networks and container managers: which there are for a type, and what they must be.

An option's value is kept and shown as it was sent. A refusal names the option
(`options.address`), and never quotes its value, which may hold a secret.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from domain.names import HOST_NAME_CHARACTERS_MAX, host_address, quoted
from domain.refusal import Refusal, invalid

Options = dict[str, Any]
"""Plain JSON values by name."""
Check = Callable[[object], str | None]
"""What is wrong with a value, as the end of a sentence that starts with its key; or `None`."""
Known = Mapping[str, Mapping[str, Check]]
"""The options of each type."""

TEXT_CHARACTERS_MAX = 2048
HOST_AND_PORT_CHARACTERS_MAX = HOST_NAME_CHARACTERS_MAX + len(":65535")
TOKEN_CHARACTERS_MAX = 16_384
ENDPOINTS_MAX = 32
PORT_MAX = 65_535

HOST_AND_PORT = re.compile(r"(?:\[(?P<v6>[^\[\]]*:[^\[\]]*)\]|(?P<name>[^\[\]:]*)):(?P<port>\d+)")
VISIBLE = re.compile(r"[!-~]+", re.ASCII)
ABSOLUTE_PATH = re.compile(r"/[^\x00-\x1f\x7f]*")
API_PATH = re.compile(r"/+(?:api(?:/+v1)?/*)?$", re.ASCII)


def checked(what: str, kind: str, options: Mapping[str, object], known: Known) -> Options:
    """The options that a type can use, or a refusal. `null` is as if it were not said."""
    if kind not in known:
        raise invalid(f"type must be one of {', '.join(known)}.", "type")
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        check = known[kind].get(key)
        if check is None:
            usable = ", ".join(known[kind]) or "none"
            shown = quoted(key)[1:-1]  # short and safe, but without the quotes
            raise wrong(shown, f"is no option of {what} type {kind}; it has: {usable}")
        fault = check(value)
        if fault is not None:
            raise wrong(key, fault)
    return given


def wrong(key: str, fault: str) -> Refusal:
    """The refusal of one option."""
    return invalid(f"options.{key} {fault}.", f"options.{key}")


def must_have(kind: str, options: Options, key: str) -> None:
    """Refuse options without what the type needs."""
    if key not in options:
        raise wrong(key, f"is missing: {kind} needs it")


def must_be_a_pair(options: Options, first: str, second: str) -> None:
    """Refuse one of two options without the other."""
    for one, other in ((first, second), (second, first)):
        if one in options and other not in options:
            raise wrong(other, f"is missing: it goes with {one}")


def difference(wanted: Options, actual: Options) -> str | None:
    """An option in which the two differ; `None` where they say the same."""
    differing = (k for k in (*wanted, *actual) if wanted.get(k) != actual.get(k))
    return next(differing, None)


# Checks


def host_and_port(value: object) -> str | None:
    """`node.example.com:8080`, `10.0.0.1:8080`, `[2001:db8::7]:8080`."""
    short = isinstance(value, str) and len(value) <= HOST_AND_PORT_CHARACTERS_MAX
    found = HOST_AND_PORT.fullmatch(str(value)) if short else None
    if found is None or not _is_host(found["v6"] or found["name"]) or not _is_port(found["port"]):
        return "must be host:port, an IPv6 address in brackets"
    return None


def url(value: object) -> str | None:
    """`http://` or `https://`, a host, perhaps a port and a path, and nothing else."""
    fault = f"must be a URL: http:// or https:// and a host, {TEXT_CHARACTERS_MAX} characters"
    # urlsplit drops line breaks and tabs without a word, so they must not get there.
    if not _is_text(value, VISIBLE) or "\\" in str(value):
        return fault
    try:
        parts = urlsplit(str(value))
        port = parts.port
    except ValueError:
        return fault
    if "@" in parts.netloc:
        return "must have no user or password: they would be shown to everybody"
    if parts.query or parts.fragment or str(value)[-1] in "?#":
        return "must have no query and no fragment"
    if parts.scheme not in ("http", "https") or port == 0 or not _has_host(parts):
        return fault
    return None


def endpoints(value: object) -> str | None:
    """URLs, in a list or in a text with commas between, as etcd's and flannel's own option."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or not 1 <= len(found) <= ENDPOINTS_MAX:
        return f"must be a list of 1 to {ENDPOINTS_MAX} URLs"
    return next(filter(None, map(url, found)), None)


def absolute_path(value: object) -> str | None:
    """The path of a file."""
    fault = f"must be an absolute path, {TEXT_CHARACTERS_MAX} characters at most"
    return None if _is_text(value, ABSOLUTE_PATH) else fault


def token(value: object) -> str | None:
    """What can be sent in a header as `Bearer` (RFC 6750 2.1)."""
    if _is_text(value, VISIBLE, TOKEN_CHARACTERS_MAX):
        return None
    return f"must be 1 to {TOKEN_CHARACTERS_MAX} visible characters of ASCII, without white space"


def api_root(text: str) -> str:
    """What the paths of a server's API, `/api/v1/…`, are appended to."""
    parts = urlsplit(text)
    return parts._replace(path=API_PATH.sub("", parts.path)).geturl()


def _is_text(
    value: object, form: re.Pattern[str], characters_max: int = TEXT_CHARACTERS_MAX
) -> bool:
    return isinstance(value, str) and len(value) <= characters_max and bool(form.fullmatch(value))


def _has_host(parts: SplitResult) -> bool:
    named = parts.netloc.removesuffix(f":{parts.port}")
    bare = named[1:-1] if named.startswith("[") else named
    return (":" in bare) == (bare != named) and _is_host(bare)


def _is_host(text: str) -> bool:
    try:
        host_address(text)
    except Refusal:
        return False
    return True


def _is_port(digits: str) -> bool:
    return digits.isascii() and digits[0] != "0" and len(digits) <= 5 and int(digits) <= PORT_MAX
