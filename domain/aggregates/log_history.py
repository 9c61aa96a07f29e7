"""The log's own history: a log goes on, or it went back, and goes on from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from domain.aggregate import Aggregate
from domain.event import Event

NAME = "main"
"""There is one log."""
CHANGES_TOLD_MAX = 1000
"""So many of the lost changes are named in the event; the service's log has all that are known."""


class LogEvent(Event):
    """Something that happened to the log."""

    TOPIC = "log"


@dataclass(frozen=True)
class WentBack(LogEvent):
    """The database has less than a process of the service knew: a standby took over that had not
    received everything, or a backup was restored. Positions that were lost are never given out
    again."""

    TOPIC: ClassVar[str] = "log.went_back"
    process: str
    """Which process knew more; others may say more."""
    known_position: int
    """The newest entry that it knew."""
    known_recorded_at: str
    found_position: int
    """The newest entry that there is instead."""
    found_recorded_at: str
    common_position: int
    """Up to here the log is as it was; 0 where the process cannot tell."""
    skipped_position: int
    """No position after the found one and up to this one is given out any more."""
    changes_lost: int
    """How many changes of this process are lost, that somebody may have been told of."""
    changes: list[str]
    """The first of them, each its position, type, subject and actor."""
    known_server: str
    """The database server before (its system, and how often a standby was promoted), or ""."""
    server: str
    """The one that is used now."""

    def lost(self, position: int, recorded_at: str | None) -> bool:
        """Whether what had this position is lost, or may be; `recorded_at` is of what has it now.

        Others appended beyond what was known before this process noticed, and what is older than
        what it knew was there before: where the loss begins is not known to the position.
        """
        if not self.common_position < position <= self.skipped_position:
            return False
        if recorded_at is None:
            return True
        if position > self.known_position:
            return False
        return recorded_at > self.known_recorded_at

    def names(self, subject: str) -> bool:
        """Whether a change of this subject is among those that are named."""
        return any(change.split(" ")[2] == subject for change in self.changes)


@dataclass(frozen=True)
class ClockSetBack(LogEvent):
    """The clock that stamps the log was ahead, and is not any more: the times of what is recorded
    begin anew here. What was recorded before has later times, and counts as before."""

    TOPIC: ClassVar[str] = "log.clock_set_back"
    process: str
    """Which process found it."""
    recorded_at: str
    """The time of the newest entry before, which is still to come."""


@dataclass(frozen=True)
class CheckpointSigned(LogEvent):
    """What the Merkle tree of the log was at this moment, signed: once a day. Whoever alters
    what was before must alter this, too, and needs the key for it."""

    TOPIC: ClassVar[str] = "log.checkpoint_signed"
    size: int
    """So many events, from the first on."""
    root: str
    """Their root, in base64."""
    key: str
    """The public half of the key."""
    checkpoint: str
    """The whole checkpoint, a signed note of C2SP."""


@dataclass(frozen=True)
class KeyRotated(LogEvent):
    """Another key signs the checkpoints of the log from now on. Both keys signed that."""

    TOPIC: ClassVar[str] = "log.key_rotated"
    key_before: str
    key: str
    """The public halves."""
    size: int
    """So many events the checkpoint is of."""
    checkpoint: str
    """A checkpoint that names the new key, signed by both."""


Happened = WentBack | ClockSetBack | CheckpointSigned | KeyRotated


class LogHistory(Aggregate[Happened]):
    """The log, as far as it has a story of its own."""

    KIND = "log"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.checkpointed_at = ""
        """When it last said what its tree was."""
        self.checkpointed_size = 0

    def go_back(self, event: WentBack) -> None:
        """Say that it did. Each time is news."""
        self.emit(event)

    def set_clock_back(self, event: ClockSetBack) -> None:
        """Say that it was. Each time is news."""
        self.emit(event)

    def sign_checkpoint(self, event: CheckpointSigned) -> None:
        """Say what the tree is. Each time is news."""
        self.emit(event)

    def rotate_key(self, event: KeyRotated) -> None:
        """Say that another key signs. Each time is news."""
        self.emit(event)

    def apply(self, event: Happened) -> None:
        """Fold one event into the state."""
        if isinstance(event, CheckpointSigned):
            self.checkpointed_at, self.checkpointed_size = event.at, event.size


def told(changes: Sequence[tuple[int, str, str, str]]) -> list[str]:
    """Lost changes, each its position, type, subject and actor, as the event names them."""
    return [" ".join(map(str, change)) for change in changes[:CHANGES_TOLD_MAX]]
