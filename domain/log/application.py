"""The log as an application of the package `eventsourcing`: for its event store, its notification
log and its projection runners, beside the service.

`docs/examples/own_read_model.py` is a read model of an operator's own, made so.
"""

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper
from eventsourcing.persistence import StoredEvent as AnyStoredEvent
from eventsourcing.utils import Environment

from domain.event import Event
from domain.log.engine import Engine
from domain.log.mapper import OrjsonTranscoder, to_event
from domain.log.recorder import LogRecorder

NAME = "commissaire"
"""Under which tracking records of projections have their positions."""


class LogMapper(Mapper[str]):
    """Stored events as today's classes."""

    def to_domain_event(self, stored_event: AnyStoredEvent) -> Event:
        """Raises where this version does not know the event: nobody may skip it unseen."""
        return to_event(stored_event)


def application_of(engine: Engine) -> type[Application[str]]:
    """The class of an application that reads a log. Nothing is to be saved through it: such events
    would not be in the read models of the service.
    """

    class Log(Application[str]):
        """The log of a service."""

        name = NAME

        def construct_env(self, name: str, env: object = None) -> Environment:
            """Of its own: the settings of a projection's table are not those of the log."""
            return Environment(name)

        def construct_mapper(self) -> Mapper[str]:
            """Ours."""
            return LogMapper(transcoder=OrjsonTranscoder())

        def construct_recorder(self) -> ApplicationRecorder:
            """Ours."""
            return LogRecorder(engine)

    return Log
