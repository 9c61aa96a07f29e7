"""Step files: what is installed on which system. Operators may write their own.

A file lists the steps of some systems (docs/bootstrapping.md). All files are checked when the
service starts: a wrong one is refused with a sentence that names it.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.aggregates.host_events import FactsGathered

FILES_MAX = 64
FILE_BYTES_MAX = 256 * 1024
STEPS_MAX = 32
STEP_BYTES_MAX = 32 * 1024
"""All words and contents of a step together, which are sent to a host in one piece."""
STEP_TIMEOUT_S = 900.0
STEP_TIMEOUT_MAX_S = 24 * 3600.0

System = Literal[
    "fedora", "centos", "rhel", "rocky", "almalinux", "debian", "ubuntu", "atomic", "coreos"
]
NetworkType = Literal["flannel_etcd", "flannel_server"]

VALUES = (
    "network",
    "endpoints",
    "prefix",
    "ca_path",
    "certificate_path",
    "certificate_key_path",
    "address",
    "flannel_options",
)
"""Names between two @ in the content of a file, for which the network's values are put."""
VALUE = re.compile(r"@([a-z_]+)@")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class WrongSteps(Exception):
    """A step file is wrong; the text says what, for people."""


def _plain(words: Sequence[str]) -> None:
    for word in words:
        if CONTROL.search(word):
            raise ValueError("a word of a command must have no control characters")
        if any(name in VALUES for name in VALUE.findall(word)):
            raise ValueError(
                "the network's values are for the content of files only: let the command read one"
            )


Word = Annotated[str, Field(max_length=4096)]
Command = Annotated[tuple[Word, ...], Field(min_length=1, max_length=64)]
Path_ = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9@_+-][A-Za-z0-9@._+-]*)+$", max_length=255)]
Major = Annotated[int, Field(ge=0, le=9999)]


class Model(BaseModel):
    """A table of a step file, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class File(Model):
    """A file that the step writes, unless the host has it exactly so."""

    path: Path_
    mode: Annotated[str, Field(pattern="^0?[0-7]{3}$")] = "0644"
    owner: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}:[a-z_][a-z0-9_-]{0,31}$")] = (
        "root:root"
    )
    content: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if CONTROL.search(self.content):
            raise ValueError(
                "content must be text: line breaks and tabs, no other control characters"
            )
        for name in VALUE.findall(self.content):
            if name not in VALUES:
                raise ValueError(f"there is no value @{name}@: there are {', '.join(VALUES)}")
        return self


class Step(Model):
    """One step, and the tests that show whether it is done."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]
    networks: tuple[NetworkType, ...] = get_args(NetworkType)
    version_min: Major | None = None
    version_max: Major | None = None
    timeout_s: Annotated[float, Field(gt=0, le=STEP_TIMEOUT_MAX_S)] = STEP_TIMEOUT_S
    unless: tuple[Command, ...] = ()
    files: tuple[File, ...] = ()
    commands: tuple[Command, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for command in (*self.unless, *self.commands):
            _plain(command)
        if not self.files and not self.commands:
            raise ValueError("does nothing: it needs files or commands")
        if not self.files and not self.unless:
            raise ValueError("needs `unless`: how else would anybody see whether it was done?")
        words = [word for command in (*self.unless, *self.commands) for word in command]
        if sum(map(len, (*words, *(file.content for file in self.files)))) > STEP_BYTES_MAX:
            raise ValueError(f"is longer than {STEP_BYTES_MAX} characters: make it several")
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("writes a file twice")
        return self

    def is_for(self, network_type: str, os_version: str) -> bool:
        """Whether it is for hosts of this version, in a network of this type."""
        digits = os_version.partition(".")[0]
        major = int(digits) if digits.isdecimal() and len(digits) <= 4 else None
        if major is None and (self.version_min is not None or self.version_max is not None):
            return False
        return network_type in self.networks and (
            major is None
            or (self.version_min or 0)
            <= major
            <= (9999 if self.version_max is None else self.version_max)
        )


class StepFile(Model):
    """All steps of some systems, in their order."""

    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    builtin: Literal["replaced", "first", "last"] = "replaced"
    """Whether the steps that we bring for these systems are left out, or come before or after."""
    steps: Annotated[tuple[Step, ...], Field(max_length=STEPS_MAX)] = ()


Lists = Mapping[str, tuple[Step, ...]]
"""The steps of each system."""


def built_in() -> Lists:
    """The step files of the package."""
    return _read(files("runners.bootstrapping"), {})


def read_lists(setting: str | None) -> Lists | None:
    """The step files of a setting: None is the package's, "none" none, all else a directory.

    Files of a directory replace those of the package for the systems that they name, or add to
    them. Raises `WrongSteps`.
    """
    if setting == "none":
        return None
    ours = built_in()
    if setting is None:
        return ours
    try:
        directory = Path(setting).expanduser()
    except RuntimeError:
        raise WrongSteps("there is no such home directory") from None
    return {**ours, **_read(directory, ours)}


def steps_for(lists: Lists, facts: FactsGathered, network_type: str) -> list[Step] | None:
    """The steps of a host; None where nobody wrote any for its system."""
    if facts.os not in lists:
        return None
    return [step for step in lists[facts.os] if step.is_for(network_type, facts.os_version)]


def _read(directory: Traversable, ours: Lists) -> Lists:
    found: dict[str, tuple[Step, ...]] = {}
    whose: dict[str, str] = {}
    for name, text in _texts(directory):
        file = _parsed(name, text)
        for system in file.systems:
            if system in whose:
                raise WrongSteps(f"{name}: {system} has its steps in {whose[system]} already")
            whose[system] = name
            found[system] = _together(name, file, ours.get(system, ()))
    return found


def _together(name: str, file: StepFile, ours: tuple[Step, ...]) -> tuple[Step, ...]:
    first = ours if file.builtin == "first" else ()
    last = ours if file.builtin == "last" else ()
    steps = (*first, *file.steps, *last)
    names = [step.name for step in steps]
    for step in names:
        if names.count(step) > 1:
            raise WrongSteps(f"{name}: there are two steps '{step}'")
    return steps


def _texts(directory: Traversable) -> list[tuple[str, str]]:
    """Name and text of each step file, in the order of their names."""
    try:
        entries = sorted(
            (entry for entry in directory.iterdir() if entry.name.endswith(".toml")),
            key=lambda entry: str(entry.name),
        )
        if len(entries) > FILES_MAX:
            raise WrongSteps(f"there are more than {FILES_MAX} files")
        return [(entry.name, _text(entry)) for entry in entries]
    except OSError as error:
        raise WrongSteps(f"it cannot be read: {error.strerror}") from error


def _text(entry: Traversable) -> str:
    with entry.open("rb") as file:
        content: bytes = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise WrongSteps(f"{entry.name}: it is longer than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise WrongSteps(f"{entry.name}: it is not UTF-8") from None


def _parsed(name: str, text: str) -> StepFile:
    try:
        return StepFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise WrongSteps(f"{name}: it is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        words = first["msg"].removeprefix("Value error, ")
        raise WrongSteps(f"{name}: {place}: {words}") from None
