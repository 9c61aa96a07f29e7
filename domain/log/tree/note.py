"""Signed notes, as C2SP's `signed-note` and Go's `sumdb/note` have them, with Ed25519 keys.

A note is a text that ends with a line feed, an empty line, and a line for each signature:
`— NAME BASE64`, where the bytes are four of the key's own hash and the signature.
"""

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\1"
KEY_BYTES = 32
HASH_BYTES = 4
KEYS_KEPT = 8
SIGNATURES_MAX = 100
NOTE_BYTES_MAX = 1_000_000


class WrongNote(ValueError):
    """It is no signed note, or no key; the sentence says why."""


class PublicKey(NamedTuple):
    """Whose signature it is: a name, and the public half of a key."""

    name: str
    raw: bytes

    @property
    def hash(self) -> bytes:
        """What stands before its signatures."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.raw).digest()[:HASH_BYTES]

    def __str__(self) -> str:
        """On one line, as Go's tools write and take it."""
        encoded = base64.b64encode(ED25519 + self.raw).decode()
        return f"{self.name}+{self.hash.hex()}+{encoded}"


class SecretKey(NamedTuple):
    """A name, and the key that signs under it."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.name!r}, …)"

    @property
    def public(self) -> PublicKey:
        """The half that everybody may know."""
        return _public(self)


# A mark is signed at each commit, and deriving a key costs three times as much as signing.
@lru_cache(maxsize=KEYS_KEPT)
def _private(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=KEYS_KEPT)
def _public(key: SecretKey) -> PublicKey:
    return PublicKey(key.name, _private(key.seed).public_key().public_bytes_raw())


class Signature(NamedTuple):
    """One line at the end of a note."""

    name: str
    hash: bytes
    bytes: bytes


class Note(NamedTuple):
    """A text, and who signed it; nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether one of the signatures is of this key, and right."""
        public = Ed25519PublicKey.from_public_bytes(key.raw)
        for each in self.signatures:
            if (each.name, each.hash) != (key.name, key.hash):
                continue
            try:
                public.verify(each.bytes, self.text.encode())
            except InvalidSignature:
                return False
            return True
        return False


def signed(text: str, keys: Sequence[SecretKey]) -> str:
    """A text with the signatures of these keys."""
    lines = []
    for key in keys:
        signature = _private(key.seed).sign(text.encode())
        encoded = base64.b64encode(key.public.hash + signature).decode()
        lines.append(f"\u2014 {key.name} {encoded}\n")
    return f"{text}\n{''.join(lines)}"


def parse(note: str) -> Note:
    """A note as it was written. Raises `WrongNote`."""
    if len(note) > NOTE_BYTES_MAX:
        raise WrongNote("it is too long")
    if any(ord(each) < 0x20 and each != "\n" for each in note):
        raise WrongNote("it has control characters")
    text, empty, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if not empty or not text or lines.pop() or not lines:
        raise WrongNote("it has no signature")
    if len(lines) > SIGNATURES_MAX:
        raise WrongNote("it has too many signatures")
    return Note(f"{text}\n", tuple(_signature(line) for line in lines))


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    content = _decoded(encoded)
    if dash != "\u2014" or not name or "+" in name or len(content) <= HASH_BYTES:
        raise WrongNote("a line at its end is no signature")
    return Signature(name, content[:HASH_BYTES], content[HASH_BYTES:])


def public_key(text: str) -> PublicKey:
    """A key as it is written on one line. Raises `WrongNote`."""
    name, _, rest = text.strip().partition("+")
    digits, _, encoded = rest.partition("+")
    content = _decoded(encoded)
    key = PublicKey(name, content[1:])
    is_whole = name and content[:1] == ED25519 and len(key.raw) == KEY_BYTES
    if not is_whole or key.hash.hex() != digits:
        raise WrongNote("it is no public key: NAME+HASH+KEY on one line, as `log key` prints it")
    return key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
