"""`docs/events.md`, made from the event classes and the golden corpus.

    python -m tests.docs.events_document

writes it; `tests/docs/test_docs.py` holds that it is what this would write.
"""

import inspect
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import orjson

from domain.all_events import MODULES
from domain.event import Event
from domain.log.engine import StoredEvent
from domain.log.mapper import to_event
from domain.log.recorder import Entry
from projections.event_sentences import sentence
from tests.domain.log.corpus import STORED, state
from web.events.cloud_events import META, cloud_event

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"
RECORDED_AT = "2026-01-02T03:04:05.001234"
TYPES: dict[Any, str] = {str: "text", int: "number", float: "number", bool: "true or false"}
TYPES |= {dict: "object", list: "list", NoneType: "`null`"}

HEAD = """# Events

Every change is an event: who did what, when, and because of which request. This page is made from
the code (`python -m tests.docs.events_document`), and a test holds that it says what the code says.

What all have in common is told by the attributes of a CloudEvent: `id` is the position in the log,
`subject` the stream that it belongs to, `type` one of the headings below, `time` when it was
recorded, `at` when it was done by the clock of whoever did it, `actor` a user or a part of the
service (`runner:investigator`), `correlationid` the request (`X-Request-ID`), or what a part of
the service worked on: `host/10.0.0.7@3` is the host that the third event of its stream registered.
`data` has the fields below. There are no secrets in the log, only fingerprints.

A type never changes its meaning. Where a field was added since, an event of an older version is
told as one of today; what is stored is never rewritten.
"""


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(module) for module in MODULES)])


def classes(module: ModuleType) -> list[type[Event]]:
    """The event classes of a module, in their order."""
    found = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Event) and "." in thing.TOPIC
    ]
    return [event for event in found if event.__module__ == module.__name__]


def _section(module: ModuleType) -> str:
    events = classes(module)
    kind = events[0].TOPIC.partition(".")[0]
    return "\n".join([f"## {kind.replace('_', ' ').capitalize()}", "", *map(_event, events)])


def _event(event: type[Event]) -> str:
    lines = [f"### `{event.TOPIC}`", "", inspect.cleandoc(event.__doc__ or ""), ""]
    hints = get_type_hints(event)
    own = [field.name for field in fields(event) if field.name not in META]
    if own:
        lines += ["| Field | Type |", "|---|---|"]
        lines += [f"| `{name}` | {_type(hints[name])} |" for name in own] + [""]
    if event.class_version > 1:
        lines += [*_older(event), ""]
    example = _example(event)
    lines += [f"Told as: {sentence(to_event(example.stored))}.", ""]
    lines += ["```json", cloud_event(example).decode(), "```", ""]
    return "\n".join(lines)


def _older(event: type[Event]) -> Iterator[str]:
    for version in range(1, event.class_version):
        upcast = getattr(event, f"upcast_v{version}_v{version + 1}")
        yield f"Version {event.class_version} of it. {inspect.cleandoc(upcast.__doc__ or '')}"


def _type(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(f"`{orjson.dumps(value).decode()}`" for value in get_args(hint))
    if isinstance(hint, UnionType):
        return " or ".join(_type(one) for one in get_args(hint))
    return TYPES[get_origin(hint) or hint]


def _example(event: type[Event]) -> Entry:
    topic, subject, payload = [s for s in STORED if s[0] == event.TOPIC][-1]
    return Entry(17, RECORDED_AT, StoredEvent(subject, 7, topic, state(payload)))


if __name__ == "__main__":
    DOCUMENT.write_text(document())
