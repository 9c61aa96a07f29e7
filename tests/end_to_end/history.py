"""What the log and the service's own lines say of a host, read beside the service."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from domain.aggregates.host_events import Failed
from domain.event import Event
from domain.log.mapper import to_event
from domain.log.recorder import stream
from domain.log.transaction import Transaction
from projections.beside_the_log import outputs
from tests.support.service import Service, wait_for
from tests.support.stores import open_engine

E = TypeVar("E", bound=Event)


def history(service: Service, address: str) -> list[Event]:
    """All events of a host, oldest first, whether it is still registered or not."""
    with _read(service) as tx:
        return [to_event(stored) for stored in stream(tx, f"host/{address}")]


def kept_output(service: Service, operation: str, address: str) -> bytes:
    """What is kept beside the log of a step's output."""
    with _read(service) as tx:
        return outputs.output(tx, operation, address)


@contextmanager
def _read(service: Service) -> Iterator[Transaction]:
    url = service.environment().get("COMMISSAIRE_DATABASE")
    with (
        closing(open_engine(url or f"sqlite:///{service.data / 'commissaire.db'}")) as engine,
        engine.snapshot() as tx,
    ):
        yield tx


def events_of(kind: type[E], service: Service, address: str) -> list[E]:
    """Those of one kind."""
    return [event for event in history(service, address) if isinstance(event, kind)]


def first_failure(service: Service, address: str) -> Failed:
    """The first one in the log; the service's lines tell the same reason."""
    found = events_of(Failed, service, address)[0]

    def told() -> bool:
        lines = [line for line in service.read_log().splitlines() if line.startswith("{")]
        return any(
            line["event"] == "change"
            and line["subject"] == f"host/{address}"
            and line.get("reason") == found.reason
            for line in map(json.loads, lines)
        )

    wait_for(told)
    return found
