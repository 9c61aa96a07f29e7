"""Private keys as people send them."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from domain.refusal import Refusal
from runners.security.private_keys import (
    KEY_BYTES_MAX,
    decode_base64,
    kept_private_key,
    read_private_key,
)
from tests.support.user_certificates import certified

KINDS = {
    "ssh-rsa": ("rsa", "2048"),
    "ecdsa-sha2-nistp256": ("ecdsa", "256"),
    "ecdsa-sha2-nistp384": ("ecdsa", "384"),
    "ecdsa-sha2-nistp521": ("ecdsa", "521"),
    "ssh-ed25519": ("ed25519", "256"),
}


def keygen(directory: Path, kind: str, bits: str, form: str = "", passphrase: str = "") -> Path:
    """A new key made by ssh-keygen; `form` is "", "PEM" or "PKCS8"."""
    file = directory / "key"
    argv = ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", passphrase, "-f", str(file)]
    subprocess.run(argv + (["-m", form] if form else []), check=True)
    return file


def openssl(*words: str) -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout


def refusal_of(raw: bytes) -> str:
    """The sentence that refuses these bytes, which says nothing that is secret."""
    with pytest.raises(Refusal) as refused:
        read_private_key(raw)
    assert (refused.value.kind, refused.value.key) == ("invalid", "ssh_priv_key")
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    for line in raw.decode("utf-8", "replace").splitlines():
        assert len(line) < 20 or line not in refused.value.sentence
    return refused.value.sentence


@pytest.mark.parametrize("algorithm", KINDS)
@pytest.mark.parametrize("form", ["", "PEM", "PKCS8"])
def test_keys_of_every_kind_and_format_are_read(tmp_path: Path, algorithm: str, form: str) -> None:
    file = keygen(tmp_path, *KINDS[algorithm], form)
    key = read_private_key(file.read_bytes())
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(file)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert key.algorithm == algorithm
    assert key.fingerprint == listed[1]


def test_an_ed25519_key_in_pkcs8_is_read() -> None:
    assert read_private_key(openssl("genpkey", "-algorithm", "ed25519")).algorithm == "ssh-ed25519"


def test_an_ec_key_with_its_parameters_in_front_is_read() -> None:
    pem = openssl("ecparam", "-name", "prime256v1", "-genkey")
    assert b"EC PARAMETERS" in pem
    assert read_private_key(pem).algorithm == "ecdsa-sha2-nistp256"


def test_windows_line_ends_and_text_around_the_key_do_no_harm() -> None:
    pem = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    read_private_key(b"my key\r\n\r\n" + pem.replace(b"\n", b"\r\n").strip())


def test_the_repr_of_a_key_is_its_fingerprint() -> None:
    pem = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    key = read_private_key(pem)
    assert key.fingerprint in repr(key)
    assert len(repr(key)) < 120


@pytest.mark.parametrize("form", ["", "PEM", "PKCS8"])
def test_a_key_with_a_passphrase_is_refused(tmp_path: Path, form: str) -> None:
    file = keygen(tmp_path, "rsa", "2048", form, passphrase="open sesame")  # noqa: S106
    assert "passphrase" in refusal_of(file.read_bytes())


def test_a_public_key_is_refused_as_such(tmp_path: Path) -> None:
    file = keygen(tmp_path, "ed25519", "256")
    assert "public key" in refusal_of(file.with_suffix(".pub").read_bytes())
    public = asyncssh.import_private_key(file.read_bytes()).convert_to_public()
    for form in ("pkcs8-pem", "rfc4716"):
        assert "public key" in refusal_of(public.export_public_key(form))


@pytest.mark.parametrize("form", ["ssh-dss", "ssh-ed448"])
def test_an_unsupported_algorithm_is_refused_by_name(form: str) -> None:
    pem = asyncssh.generate_private_key(form).export_private_key()
    assert ("DSA" if form == "ssh-dss" else form) in refusal_of(pem)


def test_a_short_rsa_key_is_refused_with_its_length() -> None:
    assert "768 bits" in refusal_of(openssl("genrsa", "-traditional", "768"))


def test_several_keys_in_one_are_refused() -> None:
    one = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    assert "several" in refusal_of(one + one)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0\xff" * 50, b"hunter2", b"-----BEGIN CERTIFICATE", b"x" * (KEY_BYTES_MAX + 1)],
    ids=["nothing", "bytes", "a password", "a cut certificate", "far too much"],
)
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    refusal_of(raw)


def test_a_putty_key_is_refused_with_the_way_out() -> None:
    assert "puttygen" in refusal_of(b"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n")


@pytest.mark.parametrize("line", [1, 2, 3, 4], ids="line {}".format)
def test_damaged_keys_are_refused(line: int) -> None:
    # Damage in the last lines is none: OpenSSL does without these numbers.
    lines = openssl("genrsa", "-traditional", "1024").split(b"\n")
    lines[line] = lines[line][::-1]
    assert "damaged" in refusal_of(b"\n".join(lines))


def test_a_key_without_its_end_is_refused() -> None:
    pem = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    assert "cut short" in refusal_of(pem[: len(pem) // 2])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda pem: pem.replace(b"\n", b" "), "spaces stand where its lines should end"),
        (lambda pem: pem.replace(b"\n", b"\\n"), "two characters \\n stand where"),
        (lambda pem: b"".join(b"    " + line for line in pem.splitlines(True)), "indented"),
    ],
    ids=["spaces", "letters", "indents"],
)
def test_how_copying_damaged_a_key_is_said(damage: Callable[[bytes], bytes], words: str) -> None:
    pem = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    assert words in refusal_of(damage(pem))


def test_a_certificate_is_taken_beside_its_key_on_either_side(tmp_path: Path) -> None:
    made = certified(tmp_path, "-n", "root")
    for raw in (made.key + made.certificate, made.certificate + made.key):
        assert read_private_key(raw).certificate is not None
        kept = kept_private_key(raw)
        assert kept.certificate is not None
        assert kept == read_private_key(made.key)


def test_certificates_that_cannot_log_in_are_refused(tmp_path: Path) -> None:
    expired = certified(tmp_path, "-V", "20200101:20200102")
    assert "expired" in refusal_of(expired.key + expired.certificate)
    another = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    assert "another key" in refusal_of(another + expired.certificate)
    assert "several certificates" in refusal_of(expired.key + expired.certificate * 2)
    assert "damaged" in refusal_of(expired.key + expired.certificate[:200] + b"\n")
    (tmp_path / "host").mkdir()
    of_a_host = certified(tmp_path / "host", "-h")
    assert "type" in refusal_of(of_a_host.key + of_a_host.certificate)


def test_base64_may_be_broken_into_lines() -> None:
    raw = bytes(range(200))
    assert decode_base64(base64.encodebytes(raw).decode()) == raw
    assert decode_base64("\r\n " + base64.b64encode(raw).decode() + "\t\n") == raw


@pytest.mark.parametrize("text", ["", " \n", "a", "QUJD*", "QUJDRA", "ключ", "QUJD\0", "-_-_"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        decode_base64(text)
    assert refused.value.key == "ssh_priv_key"


def test_a_key_that_was_not_encoded_is_refused_with_the_way_out() -> None:
    pem = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    with pytest.raises(Refusal, match="the key itself"):
        decode_base64(pem.decode())
