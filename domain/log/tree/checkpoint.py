"""What is said of the tree at a moment, as C2SP's `tlog-checkpoint` has it: origin, size, root.

Lines of our own follow: the time, the position of the last event, and, where the key was rotated,
the next one. Other tools pass over them.
"""

import base64
import binascii
from typing import NamedTuple

from domain.log.tree import note
from domain.log.tree.hashing import HASH_BYTES
from domain.log.tree.note import Note, WrongNote

TIME = "time "
POSITION = "position "
NEXT_KEY = "next-key "
SIZE_DIGITS_MAX = 19


class Checkpoint(NamedTuple):
    """The text of a note."""

    origin: str
    """Which log, by the name that its keys have."""
    size: int
    root: bytes
    time: str
    """UTC, with a Z at its end; "" in those of other tools."""
    position: int = 0
    """Of the last event, in the log; 0 where it does not say."""
    next_key: str = ""
    """Which key signs from now on, where this one says so."""

    @property
    def text(self) -> str:
        """What is signed."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode()]
        lines += [f"{TIME}{self.time}"] if self.time else []
        lines += [f"{POSITION}{self.position}"] if self.position else []
        lines += [f"{NEXT_KEY}{self.next_key}"] if self.next_key else []
        return "".join(f"{line}\n" for line in lines)


class Signed(NamedTuple):
    """A checkpoint with its signatures, and what it is of."""

    checkpoint: Checkpoint
    position: int
    """How far the tree goes in the log."""
    key: str
    """The public half of what it is signed with."""
    note: str


class Read(NamedTuple):
    """A checkpoint as somebody kept it; nothing is verified yet."""

    checkpoint: Checkpoint
    note: Note


def read(text: str) -> Read:
    """A checkpoint from its note. Raises `WrongNote`."""
    parsed = note.parse(text)
    lines = parsed.text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise WrongNote("it is no checkpoint: origin, size and root on a line each")
    origin, size, encoded, *more = lines
    is_number = size.isascii() and size.isdigit() and len(size) <= SIZE_DIGITS_MAX
    if not is_number or str(int(size)) != size:
        raise WrongNote("the size of the checkpoint is no number")
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_BYTES:
        raise WrongNote("the root of the checkpoint is no hash")
    position = _said(more, POSITION)
    is_number = position.isascii() and position.isdigit() and len(position) <= SIZE_DIGITS_MAX
    time, next_key = _said(more, TIME), _said(more, NEXT_KEY)
    found = Checkpoint(origin, int(size), root, time, int(position) if is_number else 0, next_key)
    return Read(found, parsed)


def _said(lines: list[str], what: str) -> str:
    return next((line.removeprefix(what) for line in lines if line.startswith(what)), "")
