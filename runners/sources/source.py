"""The interface of an external inventory, which is asked for facts about one host at a time.

A plugin needs only this file; `docs/sources.md` says how to write one.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from domain.aggregates.host_events import FactsSourced
from domain.names import quoted
from runners.hosts.facts import CPUS_MAX, KILOBYTES_MAX, KNOWN

OS_NAMES = (*KNOWN, "atomic")
FIELDS = ("os", "cpus", "memory", "space")
"""What a source may supply; `memory` and `space` (of the root file system) in kilobytes."""
MOST = {"cpus": CPUS_MAX, "memory": KILOBYTES_MAX, "space": KILOBYTES_MAX}


class Source(Protocol):
    """An inventory. It may have `async def aclose()` too, which is called when the service ends."""

    async def facts(self, address: str) -> Mapping[str, object] | None:
        """Facts about a host, by its canonical address: any of `FIELDS`; others are ignored.

        `None`: the inventory has no such host. Raises `NoAnswer` with the reason of a failure; any
        other exception is a failure too, of which the service log shows the kind only.
        """
        ...


OpenSource = Callable[[Mapping[str, object], Mapping[str, str]], Source]
"""The entry point of a plugin: makes a source from its options and the environment variables.

The options are those of its table in the settings that are not common to all sources. Raises
`WrongOptions` (or another `ValueError`, whose text is shown).
"""


class NoAnswer(Exception):
    """The source could not answer; the text is a sentence for people, without secrets."""


class WrongOptions(ValueError):
    """An option is wrong; the text names it and says what it must be, without secrets."""


def checked(source: str, said: Mapping[str, object] | None) -> FactsSourced:
    """Facts that can be stored. Raises `NoAnswer` where a value is not valid."""
    known = {} if said is None else said
    if not isinstance(known, Mapping):
        raise NoAnswer("Its answer is neither a mapping nor None.")
    return FactsSourced(
        source,
        _os(known.get("os")),
        _number("cpus", known.get("cpus")),
        _number("memory", known.get("memory")),
        _number("space", known.get("space")),
    )


def _os(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value in OS_NAMES):
        return value
    shown = quoted(value) if isinstance(value, str) else f"a {type(value).__name__}"
    raise NoAnswer(f"It says that os is {shown}: none of {', '.join(OS_NAMES)}.")


def _number(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise NoAnswer(f"It says that {name} is a {type(value).__name__}: it must be an int.")
    if not 1 <= value <= MOST[name]:
        raise NoAnswer(f"The number that it says for {name} is not 1 to {MOST[name]}.")
    return int(value)  # and no subclass that stores as something else
