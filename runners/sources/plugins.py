"""Types of sources: those of Commissaire, and those that other packages add.

A package adds a type by an entry point in the group `commissaire.sources`.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.names import quoted, resource_name
from domain.refusal import Refusal
from runners.settings.kinds import PLAIN_WORDS, Seconds
from runners.sources.file_source import FileSource
from runners.sources.http_source import HttpSource
from runners.sources.source import OpenSource, Source

GROUP = "commissaire.sources"
BUILT_IN: dict[str, OpenSource] = {"file": FileSource.open, "http": HttpSource.open}


class WrongSource(Exception):
    """A source in the settings is wrong; the text says what, in one line."""


class Terms(BaseModel):
    """The settings that all sources have; the rest of a table are options of its type."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    type: str
    timeout_s: Seconds = 10.0
    """How long an answer may take."""
    cache_s: Seconds = 60.0
    """How long an answer is valid, before the source is asked about the host again."""
    stale_after_s: Seconds = 600.0
    """How long the source may fail before it is stale."""
    parallel: Annotated[int, Field(ge=1, le=100, strict=True)] = 4
    """How many hosts the source is asked about at once."""


@dataclass(frozen=True)
class ConfiguredSource:
    """A source that is ready to be asked, and its terms."""

    name: str
    terms: Terms
    source: Source


def open_sources(
    tables: Mapping[str, Mapping[str, object]], environ: Mapping[str, str]
) -> list[ConfiguredSource]:
    """All sources of the settings. Raises `WrongSource` for the first one that is wrong."""
    return [_open(name, table, environ) for name, table in tables.items()]


def _open(name: str, table: Mapping[str, object], environ: Mapping[str, str]) -> ConfiguredSource:
    try:
        resource_name(name, "name of a source")
    except Refusal as refusal:
        raise WrongSource(f"sources: {refusal.sentence}") from None
    here = f"sources.{name}"
    try:
        terms = Terms.model_validate(table)
        options = {key: value for key, value in table.items() if key not in Terms.model_fields}
        source = _opener(here, terms.type)(options, environ)
    except ValidationError as error:
        raise WrongSource(_sentence(here, error)) from None
    except ValueError as error:
        raise WrongSource(f"{here}: {error}") from None
    except WrongSource:
        raise
    except Exception as defect:  # noqa: BLE001 - of somebody else's package, whatever it is
        # Not its text, which may quote a secret.
        raise WrongSource(f"{here}: its type has a defect: {type(defect).__name__}") from None
    if not inspect.iscoroutinefunction(getattr(source, "facts", None)):
        raise WrongSource(f"{here}: the type {terms.type} has no `async def facts`")
    return ConfiguredSource(name, terms, source)


def _opener(here: str, kind: str) -> OpenSource:
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    points = entry_points(group=GROUP)
    added = {point.name: point for point in points}
    offered = sorted({point.value for point in points if point.name == kind})
    if len(offered) > 1:
        raise WrongSource(f"{here}.type: {' and '.join(offered)} are both called {quoted(kind)}")
    if kind not in added:
        known = ", ".join(sorted({*BUILT_IN, *added}))
        raise WrongSource(f"{here}.type: there is no type {quoted(kind)}; there are {known}")
    return _loaded(here, added[kind])


def _loaded(here: str, point: EntryPoint) -> OpenSource:
    try:
        opener = point.load()
    except Exception as defect:  # noqa: BLE001 - of somebody else's package, whatever it is
        raise WrongSource(
            f"{here}.type: {point.value} cannot be loaded: {type(defect).__name__}: {defect}"
        ) from None
    if not callable(opener):
        raise WrongSource(f"{here}.type: {point.value} cannot be called")
    checked: OpenSource = opener
    return checked


def _sentence(here: str, error: ValidationError) -> str:
    """Every option that is wrong, without its value, which may be a secret."""
    wrong = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        words = PLAIN_WORDS.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
        where = ".".join(str(piece) for piece in (here, *fault["loc"]))
        wrong.append(f"{where}: {words.replace('Input should be', 'must be', 1)}")
    return "; ".join(wrong)
