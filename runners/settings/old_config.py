"""The settings file of a service of 2017: JSON where ours is TOML, with users somewhere inside.

What such a file says is described nowhere that we may read, so no key of it is guessed at: those
that are settings here count, with hyphens or underscores, and the others are told. Users are known
by their shape, wherever they stand: `"users": {"name": {"hash": "…"}}`.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

DEPTH_MAX = 16
USERS = "users"


class OldConfig(NamedTuple):
    """What counts of a file: settings by our names, where its users are, and what does not."""

    settings: dict[str, object]
    has_users: bool
    strangers: dict[str, str]
    """Keys without a counterpart, each with what may be meant, or "" ."""


def is_old(text: bytes) -> bool:
    """Whether a file is JSON: no TOML begins with a brace."""
    return text.lstrip()[:1] == b"{"


def read_old(text: bytes, known: Collection[str]) -> OldConfig:
    """What it says. Raises ValueError, which quotes nothing of it."""
    try:
        found = json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    settings: dict[str, object] = {}
    strangers: dict[str, str] = {}
    has_users = users_in(found) is not None
    for key, value in found.items():
        name = key.replace("-", "_")
        if name == USERS and not isinstance(value, str):
            if not has_users and value:
                raise ValueError("its users are none: an object of objects by their names")
        elif name in known:
            if name in settings:
                raise ValueError(f"it has {name} twice")
            settings[name] = value
        else:
            strangers[key] = _meant(key, name, value, known)
    said = {name: value for name, value in settings.items() if value is not None}
    return OldConfig(said, has_users, strangers)


def users_in(found: Mapping[str, object]) -> dict[str, object] | None:
    """The users of such a file, by name; None where it has none. Raises ValueError for two."""
    places = list(_places(found, DEPTH_MAX))
    if len(places) > 1:
        raise ValueError("it has users in two places")
    return places[0] if places else None


def _places(value: object, left: int) -> Iterator[dict[str, object]]:
    if not left:
        return
    if isinstance(value, list):
        for each in value:
            yield from _places(each, left - 1)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == USERS and isinstance(inner, dict) and _are_users(inner):
                yield inner
            else:
                yield from _places(inner, left - 1)


def _are_users(value: Mapping[str, object]) -> bool:
    return bool(value) and all(isinstance(entry, dict) for entry in value.values())


def _meant(key: str, name: str, value: object, known: Collection[str]) -> str:
    """What may be meant by a key that is no setting; never its value, which may be secret."""
    if any(_places({key: value}, DEPTH_MAX)):
        return "its users count, unless --users names a file, and nothing else of it"
    words = set(name.lower().split("_"))
    alike = [each for each in known if set(each.split("_")) <= words]
    return f"is {' or '.join(sorted(alike))} meant?" if alike else ""


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("it has a name twice in the same object")
    return dict(pairs)
