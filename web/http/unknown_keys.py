"""Keys of bodies and queries that nobody knows, told with the nearest one that is known."""

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from domain.names import quoted
from web.authentication.tokens import without_tokens
from web.http.problems import KeyFault, Problem

TOLD_MAX = 10
"""So many unknown keys are named in one answer."""
CHARACTERS_MAX = 80
UNKNOWN = "is not known"
LIKENESS_MIN = 0.6
"""Of 1.0, which is the same."""


def unknown(given: Iterable[str], known: Collection[str]) -> list[KeyFault]:
    """What is wrong with each of the given keys that is not known."""
    strange = [key for key in given if key not in known][:TOLD_MAX]
    return [KeyFault(_shown(key), _told(key, known)) for key in strange]


def wrong_at(what: str, faults: Sequence[KeyFault]) -> Problem:
    """The answer that names the keys that are wrong."""
    keys = ", ".join(dict.fromkeys(fault.key for fault in faults))
    told = [f"{key} {message}" for key, message in faults if message.startswith(UNKNOWN)]
    return Problem("invalid", " ".join([f"The {what} is wrong at {keys}.", *told]), faults)


def _told(key: str, known: Collection[str]) -> str:
    """Such as "is not known: did you mean dry_run?"."""
    by_letters = {_letters(name): name for name in known}
    near = get_close_matches(_letters(key), by_letters, 1, LIKENESS_MIN)
    if near:
        return f"{UNKNOWN}: did you mean {by_letters[near[0]]}?"
    return f"{UNKNOWN} here (known: {', '.join(known) or 'none'})."


def _letters(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key[:CHARACTERS_MAX].lower())


def _shown(key: str) -> str:
    """The key, short and without what nobody may see."""
    safe = without_tokens(key.encode(errors="replace")).decode(errors="replace")
    return quoted(safe, CHARACTERS_MAX)[1:-1]
