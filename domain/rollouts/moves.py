"""What an operation may do next, as a policy says it."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["in_process", "paused", "finished", "partial", "failed", "cancelled"]
WaitsFor = Literal["", "soak", "approval", "window", "gate", "members", "start"]
"""What an operation as a whole waits for; "" is its own hosts, or nothing."""


@dataclass(frozen=True)
class Start:
    """The next move: begin with this host."""

    address: str


@dataclass(frozen=True)
class BeginWave:
    """The next move: begin this wave, counted from 1."""

    wave: int


@dataclass(frozen=True)
class Wait:
    """Nothing is to be done until something happens, or until a time.

    `why` is a sentence for people; `what` says what its record says that it waits for.
    """

    why: str
    what: WaitsFor = ""
    until: str | None = None
    asks: tuple[str, ...] = ()
    """The gates that are to be asked before it goes on."""


@dataclass(frozen=True)
class Over:
    """The next move: end the operation with this status."""

    status: Status
    reason: str = ""


Move = Start | BeginWave | Wait | Over
