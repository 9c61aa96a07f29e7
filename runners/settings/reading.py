"""Reads the settings from flags, variables, and the file: TOML, or JSON of 2017."""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from runners.os_support.terminal_text import escaped
from runners.settings import old_config
from runners.settings.kinds import PLAIN_WORDS, SHOWN_CHARACTERS_MAX, sources
from runners.settings.settings import Settings

VARIABLE_PREFIX = "COMMISSAIRE_"

CONFIG_BYTES_MAX = 1024 * 1024


class WrongSettings(Exception):
    """One sentence per setting that is wrong, each with where its value came from."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


class Given(NamedTuple):
    """A value as somebody wrote it, and where: `--port`, `COMMISSAIRE_PORT`, `port in FILE`."""

    value: object
    origin: str


def flag(name: str) -> str:
    """`ssh_parallel` → `--ssh-parallel`."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """`ssh_parallel` → `COMMISSAIRE_SSH_PARALLEL`."""
    return VARIABLE_PREFIX + name.upper()


def tell_nobody(sentence: str) -> None:
    """What a file has that counts for nothing is told by `serve`, once."""


def read_settings(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    tell: Callable[[str], None] = tell_nobody,
) -> Settings:
    """Settings from flags (by setting name, None is not given), variables and the file.

    `tell` gets a sentence for each key of a file of 2017 that has no counterpart. Raises
    WrongSettings with a line for everything that is wrong.
    """
    given = _from_flags(flags)
    given = _from_variables(environ, but=given) | given
    if "config" in given:
        given = _from_file(given["config"], tell) | given
    try:
        return Settings.model_validate({name: value for name, (value, _) in given.items()})
    except ValidationError as error:
        wrong = [
            (str(e["loc"][0]), PLAIN_WORDS.get(e["type"], e["msg"]))
            for e in error.errors(include_url=False)
        ]
    raise WrongSettings(*(_sentence(name, message, given.get(name)) for name, message in wrong))


def _from_flags(flags: Mapping[str, object]) -> dict[str, Given]:
    # A flag that may be repeated, and was not given at all, is an empty list.
    return {n: Given(v, flag(n)) for n, v in flags.items() if v is not None and v != []}


def _from_variables(environ: Mapping[str, str], but: Mapping[str, object]) -> dict[str, Given]:
    """What the variables say; an empty variable is one that is not set.

    Others that begin with COMMISSAIRE_ are let alone: Kubernetes sets some for its services.
    """
    return {
        name: Given(environ[variable(name)], variable(name))
        for name, field in Settings.model_fields.items()
        if "variable" in sources(field).allowed and name not in but and environ.get(variable(name))
    }


def _from_file(config: Given, tell: Callable[[str], None]) -> dict[str, Given]:
    path = Path(str(config.value))
    where = f"{_shown(str(path))} (from {config.origin})"
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(CONFIG_BYTES_MAX + 1)
        if len(text) > CONFIG_BYTES_MAX:
            raise WrongSettings(f"config {where} is longer than {CONFIG_BYTES_MAX} bytes")
        if old_config.is_old(text):
            return _from_old(text, path, where, tell)
        keys = tomllib.loads(text.decode())
    except (OSError, RuntimeError) as error:
        # RuntimeError: a home directory that nobody has.
        why = getattr(error, "strerror", None) or error
        raise WrongSettings(f"config {where} cannot be read: {why}") from error
    except ValueError as error:
        # A TOML error names line and column; it does not quote values.
        raise WrongSettings(f"config {where} is not a TOML file: {error}") from error
    strangers = [f"{_shown(key)} in {where} is not a setting" for key in keys.keys() - _known()]
    if strangers:
        raise WrongSettings(*sorted(strangers))
    return {name: Given(value, f"{name} in {path}") for name, value in keys.items()}


def _known() -> set[str]:
    return {n for n, f in Settings.model_fields.items() if "file" in sources(f).allowed}


def _from_old(text: bytes, path: Path, where: str, tell: Callable[[str], None]) -> dict[str, Given]:
    """What a file of 2017 says: its users are a file of users, which is this one."""
    try:
        old = old_config.read_old(text, _known())
    except ValueError as error:
        raise WrongSettings(f"config {where} cannot be used: {error}") from None
    for key, meant in old.strangers.items():
        more = f": {meant}" if meant else ""
        tell(f"{_shown(key)} in {_shown(str(path))} has no counterpart{more}")
    found = {name: Given(value, f"{name} in {path}") for name, value in old.settings.items()}
    if old.has_users:
        found.setdefault("users", Given(str(path), f"the users in {path}"))
    return found


def _sentence(name: str, message: str, given: Given | None) -> str:
    """What is wrong with a setting; its value is quoted unless it is a secret."""
    words = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if given is None:
        return f"{name} (its default): {words}"
    secret = "SecretStr" in str(Settings.model_fields[name].annotation)
    # A table is long, and what is wrong in it is named in the words.
    quoted = "" if secret or isinstance(given.value, dict) else f", not {_shown(repr(given.value))}"
    return f"{name} (from {_shown(given.origin)}): {words}{quoted}"


def _shown(text: str) -> str:
    """One line that a terminal cannot take for commands, and not a long one."""
    line = escaped(text)
    return line if len(line) <= SHOWN_CHARACTERS_MAX * 2 else line[:SHOWN_CHARACTERS_MAX] + "…"


def settings_of(**flags: str | None) -> Settings:
    """The settings that `serve` has with the same options and the same environment."""
    return read_settings(flags, os.environ)
