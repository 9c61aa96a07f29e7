"""The gates of the settings: `--gate NAME=URL`, and tables `[gates.NAME]`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from domain.names import resource_name
from domain.refusal import Refusal
from runners.settings.kinds import PLAIN_WORDS

GATES_MAX = 100
FILTER_CHARACTERS_MAX = 1000
MATCHER = r'[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"'
FILTER = re.compile(rf"\s*{MATCHER}(?:\s*,\s*{MATCHER})*\s*,?\s*", re.ASCII)
"""Matchers of labels as Prometheus has them between braces."""


class WrongGate(Exception):
    """A gate that cannot be asked; the sentence says which, and what is wrong."""


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it is what checks it
    except ValueError:
        raise ValueError("must be a URL with a host and a port as in host:9090") from None
    printable = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("http", "https") or not parts.hostname or not printable:
        raise ValueError("must be a URL that begins with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must have no user or password")
    return text


class GateOptions(BaseModel):
    """`url`, and for a Prometheus `prometheus = true` with a `filter` of its alerts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)

    url: Annotated[str, AfterValidator(_url)]
    prometheus: bool = False
    filter: str = ""
    ca: str = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        parts = urlsplit(self.url)
        if self.prometheus and (parts.query or parts.fragment):
            raise ValueError("url must be where the Prometheus is, without a query")
        if self.filter and not self.prometheus:
            raise ValueError("filter needs prometheus = true")
        if self.prometheus and not self.filter.strip():
            raise ValueError('filter is missing: which alerts stop a host, severity="page" say')
        if self.filter and (
            len(self.filter) > FILTER_CHARACTERS_MAX or not FILTER.fullmatch(self.filter)
        ):
            raise ValueError('filter must be matchers such as severity="page",team=~"web|db"')
        if self.ca and parts.scheme != "https":
            raise ValueError("ca needs a url that begins with https://")
        return self

    @property
    def ca_file(self) -> Path | None:
        """The CAs that vouch for it; None for those of the machine."""
        return Path(self.ca).expanduser() if self.ca else None


def configured(
    said: Sequence[str], tables: Mapping[str, Mapping[str, object]]
) -> dict[str, GateOptions]:
    """All gates by their names. Raises `WrongGate`."""
    found: dict[str, GateOptions] = {}
    for text in said:
        name, has_url, url = text.partition("=")
        if not has_url:
            raise WrongGate(f"gate: {text} must be NAME=URL")
        _add(found, name, {"url": url}, f"gate {name}")
    for name, table in tables.items():
        _add(found, name, table, f"gates.{name}")
    if len(found) > GATES_MAX:
        raise WrongGate(f"gates: there may be {GATES_MAX} at most")
    return found


def _add(found: dict[str, GateOptions], name: str, table: Mapping[str, object], where: str) -> None:
    try:
        resource_name(name, "name of a gate")
        if name in found:
            raise WrongGate(f"{where}: the gate is there twice")
        found[name] = GateOptions.model_validate(dict(table))
    except Refusal as refusal:
        raise WrongGate(f"{where}: {refusal.sentence}") from None
    except ValidationError as error:
        raise WrongGate(f"{where}: {_words(error)}") from None


def _words(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = []
    for fault in faults:
        words = PLAIN_WORDS.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
        key = ".".join(str(piece) for piece in fault["loc"])
        told.append(f"{key}: {words}" if key else words)
    return "; ".join(told)
