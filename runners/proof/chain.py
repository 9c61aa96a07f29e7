"""Which keys are trusted: those that are given, and those that rotations in the log tie to them."""

from typing import Any, NamedTuple

from domain.aggregates.log_history import CheckpointSigned, KeyRotated
from domain.log.tree import checkpoint
from domain.log.tree.checkpoint import Read
from domain.log.tree.note import PublicKey, WrongNote, public_key

TOPICS = (CheckpointSigned.TOPIC, KeyRotated.TOPIC)


class Claim(NamedTuple):
    """What a checkpoint says, and who signed it."""

    size: int
    root: bytes
    keys: tuple[PublicKey, ...]
    """One that signed it, or, of a rotation, both."""
    where: str
    """As people are told of it."""


def claim_of_event(topic: str, said: dict[str, Any], where: str) -> Claim:
    """What the log says of itself. Raises `WrongNote` where it contradicts itself."""
    names = ("key",) if topic == CheckpointSigned.TOPIC else ("key_before", "key")
    found = checkpoint.read(str(said.get("checkpoint")))
    keys = tuple(public_key(str(said.get(name))) for name in names)
    if not all(found.note.is_signed_by(key) for key in keys):
        raise WrongNote("it is not signed by the key that it names")
    if len(keys) > 1 and found.checkpoint.next_key != str(keys[1]):
        raise WrongNote("it does not name the key that signs from then on")
    if found.checkpoint.size != said.get("size"):
        raise WrongNote("it is of another size than it says")
    if {key.name for key in keys} != {found.checkpoint.origin}:
        raise WrongNote("it is of another log than its key")
    return Claim(found.checkpoint.size, found.checkpoint.root, keys, where)


def claim_of_file(found: Read, keys: set[PublicKey], where: str) -> Claim:
    """What somebody kept. Raises `WrongNote` where none of these keys signed it."""
    for key in sorted(keys):
        if found.note.is_signed_by(key):
            return Claim(found.checkpoint.size, found.checkpoint.root, (key,), where)
    names = ", ".join(sorted({str(key) for key in keys}))
    raise WrongNote(f"{where}: none of the trusted keys signed it ({names}).")


def trusted(given: set[PublicKey], claims: list[Claim]) -> set[PublicKey]:
    """The given keys, and all that rotations tie to them, before or after."""
    found = set(given)
    links = [claim.keys for claim in claims if len(claim.keys) > 1]
    while more := {key for link in links if found & {*link} for key in link} - found:
        found |= more
    return found
