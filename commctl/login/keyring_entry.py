"""A token in the keyring of the desktop: only where a profile names an entry, `SERVICE/USER`.

The package `keyring` is an extra. Where it is missing or its keyring is locked, that is said.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from commctl.exits import NoLogin, WrongUse

MISSING = (
    "The profile names a keyring, and the Python package for it is missing: pip install keyring,"
    " or apt install python3-keyring."
)


def read_entry(entry: str) -> str:
    """The token that is kept there. Raises NoLogin or WrongUse."""
    service, user = _parts(entry)
    token = _done(entry, lambda keyring: keyring.get_password(service, user))
    if not token:
        raise NoLogin(f"The keyring has no entry {entry}: keyring set {service} {user}")
    return str(token)


def write_entry(entry: str, token: str) -> None:
    """Keep a token there. Raises NoLogin or WrongUse."""
    service, user = _parts(entry)
    _done(entry, lambda keyring: keyring.set_password(service, user, token))


def remove_entry(entry: str) -> None:
    """Forget it. Raises NoLogin or WrongUse."""
    service, user = _parts(entry)
    _done(entry, lambda keyring: keyring.delete_password(service, user))


def _parts(entry: str) -> tuple[str, str]:
    service, separator, user = entry.partition("/")
    if not (service and separator and user):
        raise WrongUse(f"keyring of a profile is SERVICE/USER, not {entry!r}.")
    return service, user


def _done(entry: str, act: "Callable[[ModuleType], Any]") -> Any:
    """Any: what the package answers."""
    try:
        import keyring  # type: ignore[import-not-found] # an extra: only where a profile names it
        from keyring.errors import KeyringError  # type: ignore[import-not-found] # the same
    except ImportError:
        raise NoLogin(MISSING) from None
    try:
        return act(keyring)
    except KeyringError as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise NoLogin(f"The keyring does not give {entry}: {told}") from None
