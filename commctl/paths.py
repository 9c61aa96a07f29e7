"""Names as parts of paths of the API."""

from urllib.parse import quote

from commctl.exits import WrongUse

NO_NAMES = ("", ".", "..")
"""In a path these mean another one."""


def in_path(name: str) -> str:
    """A name as a part of a path: nothing in it leads elsewhere. Raises WrongUse."""
    if name in NO_NAMES:
        raise WrongUse(f"{name!r} is no name.")
    return quote(name, safe=":")
