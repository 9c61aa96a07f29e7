"""Bodies and records of policies of clusters, and of locks."""

from typing import Annotated

from pydantic import Field

from web.schemas.bodies import Body, Exact, Name
from web.schemas.examples import example
from web.schemas.operation_bodies import Unavailable
from web.schemas.operation_records import BEGAN
from web.schemas.records import Record


class PolicyBody(Exact):
    """What holds for every operation and lock of a cluster; what is not said is not limited."""

    max_unavailable: Unavailable | None = Field(
        None, description="So many members may be away at once, for whatever reason."
    )

    window: Name | None = Field(None, description="Hosts are started only while it is open.")
    gate: Name | None = Field(None, description="Asked before each start of a host.")

    model_config = example(max_unavailable="10%", window="nights")


class PolicyRecord(Record):
    """The policy of a cluster."""

    max_unavailable: int | str | None = Field(description="`null`: no limit.")
    window: str | None
    gate: str | None

    model_config = example(max_unavailable="10%", window="nights", gate=None)


class LockRecord(Record):
    """A member that restarts by itself."""

    address: str
    id: str = Field(description="What it calls itself.")
    since: str = Field(description="UTC.")

    model_config = example(address="10.0.0.7", id="c988d2509fdf5cdcbed39037c886b7c9", since=BEGAN)


class ClientParams(Body):
    """Who asks for a lock, and of which group."""

    id: Annotated[str, Field(pattern="^[!-~]{1,128}$")]
    group: Name = Field(description="A cluster.")

    model_config = example(id="c988d2509fdf5cdcbed39037c886b7c9", group="workers")


class FleetLockBody(Body):
    """What a client of FleetLock sends."""

    client_params: ClientParams

    model_config = example(
        client_params={"id": "c988d2509fdf5cdcbed39037c886b7c9", "group": "workers"}
    )


class FleetLockDone(Record):
    """An empty object: the client may go on."""


class FleetLockError(Record):
    """Why not, as the protocol has it."""

    kind: str
    value: str
