"""Which hosts are meant: `10.0.0.*`, `web[1-20]`, `role=db`, `os=debian`, alone or together.

What the service can filter it filters; patterns are matched here, page by page.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from typing import Any, NamedTuple

from commctl.exits import WrongUse

FILTERS = {"status": "status", "kind": "kind", "why": "kind", "cluster": "cluster", "os": "os",
           "reboot_needed": "reboot_needed", "reboot": "reboot_needed"}  # fmt: skip
RANGE = re.compile(r"\[(\d+)-(\d+)\]")
RANGE_MAX = 10_000
PATTERN = re.compile(r"[*?\[\]]")
LITERAL = re.compile(r"[A-Za-z0-9._:-]+")


class Selection(NamedTuple):
    """What to ask the service for, and which of its answers are meant."""

    query: dict[str, Any]
    matches: Callable[[str], bool] | None
    """Of an address; None where all that is answered is meant."""

    def filter(self, hosts: Iterator[Any]) -> Iterator[Any]:
        """The hosts that are meant."""
        matches = self.matches
        if matches is None:
            return hosts
        return (host for host in hosts if matches(host["address"]))


def selection(words: Sequence[str], **given: Any) -> Selection:
    """What all these words together say, and what options say beside them. Raises WrongUse."""
    if (
        not all(word.strip(",") for word in words) or "" in given.values()
    ):  # a script's variable that is empty, say
        raise WrongUse("A word that selects hosts is empty: leave it out to mean all of them.")
    query: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    labels: list[str] = list(query.pop("label", []))
    patterns: list[str] = []
    for word in (part for each in words for part in each.split(",") if part):
        key, separator, value = word.partition("=")
        if not separator:
            patterns.append(word)
        elif key in FILTERS:
            query[FILTERS[key]] = value
        else:
            labels.append(word)
    if labels:
        query["label"] = labels
    if not patterns:
        return Selection(query, None)
    if len(patterns) == 1 and "q" not in query and (literal := _longest_literal(patterns[0])):
        query["q"] = literal
    told = [re.compile(p, re.IGNORECASE) for pattern in patterns for p in _expressions(pattern)]
    return Selection(query, lambda address: any(one.match(address) for one in told))


def _expressions(pattern: str) -> Iterator[str]:
    """A word as regular expressions: ranges are numbers, `*` and `?` as of a shell."""
    found = RANGE.search(pattern)
    if found is None:
        yield translate(pattern)
        return
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + RANGE_MAX:
        raise WrongUse(f"{pattern}: a range goes up, and over {RANGE_MAX} numbers at most.")
    digits = len(found[1]) if found[1].startswith("0") else 0
    for number in range(first, last + 1):
        yield from _expressions(
            pattern[: found.start()] + f"{number:0{digits}}" + pattern[found.end() :]
        )


def _longest_literal(pattern: str) -> str:
    """The longest part that every match has in it, for the service to look for."""
    parts = PATTERN.split(re.sub(r"\[[^]]*\]", "*", pattern))
    return max((p for p in parts if LITERAL.fullmatch(p)), key=len, default="")
