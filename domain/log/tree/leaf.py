"""A row of the log as the bytes that its leaf is the hash of.

A JSON list on one line: position, time of recording, aggregate, version, topic, and the state as it
is stored. `commissaire log export --rows` writes the same, so whoever has them needs no database.
"""

import orjson

from domain.log.tree.hashing import leaf_hash


def leaf(
    position: int, recorded_at: str, originator_id: str, version: int, topic: str, state: bytes
) -> bytes:
    """The bytes themselves: two rows that differ have others, whatever a state holds."""
    place = orjson.dumps((position, recorded_at, originator_id, version, topic))
    return b"%b,%b]" % (place[:-1], state)


def hash_of(
    position: int, recorded_at: str, originator_id: str, version: int, topic: str, state: bytes
) -> bytes:
    """The hash of the leaf of a row."""
    return leaf_hash(leaf(position, recorded_at, originator_id, version, topic, state))
