"""Checkpoints are signed notes that other implementations read, and nothing else is taken."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.log.tree import note
from domain.log.tree.checkpoint import Checkpoint, read
from domain.log.tree.hashing import leaf_hash
from domain.log.tree.note import SecretKey, WrongNote, public_key, signed

# The example of Go's package golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.
"""
GO_SIGNATURE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6RyyBwJnAM=\n"
)
KEY = SecretKey("commissaire/0123456789abcdef", b"k" * 32)
OTHER = SecretKey(KEY.name, b"o" * 32)
CHECKPOINT = Checkpoint(KEY.name, 17, leaf_hash(b"x"), "2026-01-02T03:04:05.000006Z")


def test_a_note_is_signed_as_gos_package_signs_it() -> None:
    key = SecretKey("PeterNeumann", GO_SEED)
    assert str(key.public) == GO_KEY
    assert signed(GO_TEXT, [key]) == f"{GO_TEXT}\n{GO_SIGNATURE}"
    assert note.parse(f"{GO_TEXT}\n{GO_SIGNATURE}").is_signed_by(public_key(GO_KEY))


def verified_by_the_specification(text: str, vkey: str) -> tuple[str, int, bytes]:
    """C2SP signed-note and tlog-checkpoint, read by hand: origin, size and root.

    Shares no line with what is tested.
    """
    body, _, signatures = text.rpartition("\n\n")
    body += "\n"
    name, digits, encoded = vkey.split("+", 2)
    algorithm_and_key = base64.b64decode(encoded)
    assert algorithm_and_key[0] == 1  # Ed25519
    expected = hashlib.sha256(name.encode() + b"\n" + algorithm_and_key).digest()[:4]
    assert expected.hex() == digits
    for line in signatures.splitlines():
        assert line.startswith("\u2014 ")
        signer, signature = line[2:].split(" ")
        content = base64.b64decode(signature)
        if signer == name and content[:4] == expected:
            key = Ed25519PublicKey.from_public_bytes(algorithm_and_key[1:])
            key.verify(content[4:], body.encode())
            break
    else:
        raise InvalidSignature
    origin, size, root, *extensions = body.splitlines()
    assert all(extensions)
    assert str(int(size)) == size
    return origin, int(size), base64.b64decode(root)


def test_a_checkpoint_is_read_by_an_implementation_of_the_specification() -> None:
    text = signed(CHECKPOINT.text, [KEY, OTHER])
    expected = (KEY.name, 17, CHECKPOINT.root)
    for key in (KEY, OTHER):
        assert verified_by_the_specification(text, str(key.public)) == expected
    with pytest.raises(InvalidSignature):
        verified_by_the_specification(text, str(SecretKey(KEY.name, b"z" * 32).public))


def test_a_checkpoint_is_read_back_with_and_without_lines_of_ours() -> None:
    rotated = CHECKPOINT._replace(next_key=str(OTHER.public))
    bare = CHECKPOINT._replace(time="")
    for each in (CHECKPOINT, rotated, bare, bare._replace(size=0)):
        found = read(signed(each.text, [KEY]))
        assert found.checkpoint == each
        assert found.note.is_signed_by(KEY.public)
        assert not found.note.is_signed_by(OTHER.public)
        assert not found.note.is_signed_by(SecretKey("another", KEY.seed).public)


def test_a_changed_text_or_signature_is_not_signed() -> None:
    text = signed(CHECKPOINT.text, [KEY])
    assert not read(text.replace("\n17\n", "\n18\n")).note.is_signed_by(KEY.public)
    forged = CHECKPOINT._replace(size=18)
    line = signed(forged.text, [OTHER]).splitlines()[-1]
    content = KEY.public.hash + base64.b64decode(line.split(" ")[2])[4:]
    other = f"{forged.text}\n\u2014 {KEY.name} {base64.b64encode(content).decode()}\n"
    assert not read(other).note.is_signed_by(KEY.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        CHECKPOINT.text,
        f"{CHECKPOINT.text}\n",
        f"{CHECKPOINT.text}\nno dash\n",
        f"{CHECKPOINT.text}\n\u2014 name\n",
        f"{CHECKPOINT.text}\n\u2014 name AAAA\n",
        f"{CHECKPOINT.text}\n\u2014 na+me {'A' * 40}\n",
        signed(CHECKPOINT.text, [KEY])[:-1],
        signed("only\ntwo\n", [KEY]),
        signed("a\n017\nAAAA\n", [KEY]),
        signed("a\n-1\nAAAA\n", [KEY]),
        signed("a\n\u0661\nAAAA\n", [KEY]),
        signed(f"a\n{'9' * 20}\n{base64.b64encode(bytes(32)).decode()}\n", [KEY]),
        signed("a\n17\nAAAA\n", [KEY]),
        signed("a\tb\n17\nAAAA\n", [KEY]),
        signed(CHECKPOINT.text, [KEY] * 101),
        "x" * 1_000_001,
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(WrongNote):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["", "name", f"{KEY.public}x", str(KEY.public)[1:], f"x{KEY.public}", "a+00000000+AQ=="],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    assert public_key(f" {KEY.public}\n") == KEY.public
    with pytest.raises(WrongNote):
        public_key(text)


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    assert "kkkk" not in repr(KEY)
    assert KEY.public.name in repr(KEY)
