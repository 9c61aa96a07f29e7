"""What comes after the `?` of a path: each parameter once, as text, and none that is not known."""

from collections.abc import Collection
from datetime import UTC, datetime
from urllib.parse import parse_qs

from domain.names import resource_name
from domain.refusal import Refusal, invalid
from web.http.unknown_keys import unknown, wrong_at

PARAMETERS_MAX = 100
TEXT_CHARACTERS_MAX = 300
TEXT = rf"^[ -~]{{1,{TEXT_CHARACTERS_MAX}}}$"
"""What subjects and actors are made of."""


def parameters(query: bytes, known: Collection[str]) -> dict[str, str]:
    """Those of the parameters that the caller knows. Refuses one that is there twice."""
    if not query:
        return {}
    given = _given(query)
    for name in known:
        if len(given.get(name, ())) > 1:
            raise invalid(f"{name} is in the query more than once.", name)
    return {name: given[name][0] for name in known if name in given}


def repeated(query: bytes, name: str) -> list[str]:
    """All values of a parameter that may be there several times."""
    return _given(query).get(name, []) if query else []


def refuse_unknown(query: bytes, known: Collection[str]) -> None:
    """Refuse a parameter that does nothing here, with the name of the nearest one that does."""
    if faults := unknown(_given(query), known):
        raise wrong_at("query", faults)


def _given(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError:
        raise invalid("The query is no text, or has too many parameters.") from None


def number(text: str, name: str, low: int, high: int) -> int:
    """A number in decimals."""
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise invalid(f"{name} must be a number from {low} to {high}.", name)


def moment(text: str, name: str) -> str:
    """A time in the format of the API. ISO 8601 in all its forms is taken; without an offset, UTC.

    A day is its beginning.
    """
    try:
        # Digits of other scripts are digits to Python.
        time = datetime.fromisoformat(text if text.isascii() else "")
        utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        example = "2015-12-17T15:48:18.710454"
        hint = " A + is written %2B in a query." if " " in text else ""
        raise invalid(f"{name} must be a time in UTC such as {example}.{hint}", name) from None
    # Not strftime: it writes years before 1000 with fewer than four digits.
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds")


def cluster_name(text: str) -> str:
    """The name of a cluster, or a refusal that names the parameter."""
    try:
        return resource_name(text, "cluster name")
    except Refusal as refusal:
        raise invalid(refusal.sentence, "cluster") from None
