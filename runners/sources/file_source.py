"""An inventory in a file: JSON, YAML or TOML, read again when it has changed.

The file has a table of records by address, or a list of records that each have an address.
"""

import json
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain import names
from domain.refusal import Refusal
from runners.os_support.shared_read import SharedRead
from runners.sources.field_mapping import MISSING, SAME_NAMES, MappedFields, Path, found
from runners.sources.source import NoAnswer

FILE_BYTES_MAX = 64 * 1024 * 1024

Format = Literal["json", "yaml", "toml"]
SUFFIXES: dict[str, Format] = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
}
Version = tuple[int, int, int]
"""Differs after the file was changed or replaced."""


def _file(path: FilePath) -> FilePath:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such home directory") from error


class FileOptions(BaseModel):
    """The `path`, its `format`, where `hosts` are and a record's `address`, and its `fields`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: Annotated[FilePath, AfterValidator(_file)]
    format: Format | None = None
    hosts: Path = ()
    address: Path = ("address",)
    fields: MappedFields = Field(SAME_NAMES)

    @property
    def kind(self) -> Format | None:
        """The format: the option, or that of the file's suffix."""
        return self.format or SUFFIXES.get(self.path.suffix.lower())


class FileSource:
    """Answers from the current content of the file."""

    def __init__(self, options: FileOptions, kind: Format) -> None:
        self._options = options
        self._parse = PARSERS[kind]
        self._kind = kind
        self._version: Version | None = None
        self._records: dict[str, object] | NoAnswer = {}
        self._read = SharedRead(self._read_if_changed)

    @classmethod
    def open(cls, options: Mapping[str, object], environ: Mapping[str, str]) -> Self:
        """A source from its options. The file need not exist yet."""
        checked = FileOptions.model_validate(options)
        if checked.kind is None:
            raise ValueError("format: must be json, yaml or toml, as the path does not tell")
        return cls(checked, checked.kind)

    async def facts(self, address: str) -> Mapping[str, object] | None:
        """The facts that the file has of a host."""
        record = (await self._read()).get(address, MISSING)
        return None if record is MISSING else self._options.fields.read(record)

    def _read_if_changed(self) -> dict[str, object]:
        """The records by address. Raises `NoAnswer`, also while a wrong file has not changed."""
        self._read_anew()
        if isinstance(self._records, NoAnswer):
            raise NoAnswer(str(self._records))
        return self._records

    def _read_anew(self) -> None:
        try:
            # Not blocking: to open a pipe would take as long as nobody writes into it.
            opened = os.open(self._options.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(opened, "rb") as file:
                status = os.fstat(opened)
                if not stat.S_ISREG(status.st_mode):
                    raise NoAnswer("It is no regular file.")
                version = (status.st_mtime_ns, status.st_size, status.st_ino)
                if version == self._version:
                    return
                text = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise NoAnswer(f"The file cannot be read: {error.strerror}.") from None
        try:
            self._records = self._parsed(text)
        except NoAnswer as wrong:
            self._records = wrong
        self._version = version

    def _parsed(self, text: bytes) -> dict[str, object]:
        if len(text) > FILE_BYTES_MAX:
            raise NoAnswer(f"The file is longer than {FILE_BYTES_MAX} bytes.")
        try:
            content = self._parse(text)
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            raise NoAnswer(f"The file is no {self._kind.upper()}{_line(error)}.") from None
        return self._by_address(found(content, self._options.hosts))

    def _by_address(self, hosts: object) -> dict[str, object]:
        if isinstance(hosts, Mapping):
            pairs = list(hosts.items())
        elif isinstance(hosts, list):
            pairs = [(found(record, self._options.address), record) for record in hosts]
        else:
            raise NoAnswer("The file has neither a table nor a list where its hosts should be.")
        records: dict[str, object] = {}
        for text, record in pairs:
            try:
                address = names.host_address(text) if isinstance(text, str) else None
            except Refusal:
                address = None
            if address is not None:  # what has none is no host that we could ever be asked for
                records[address] = record
        return records


def _line(error: Exception) -> str:
    # Only where: what is there may be a secret.
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    return f" (line {line})" if line else ""


def _yaml(text: bytes) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe


PARSERS: dict[Format, Callable[[bytes], Any]] = {
    "json": json.loads,
    "yaml": _yaml,
    "toml": lambda text: tomllib.loads(text.decode()),
}
