"""Private keys of hosts as people send them: read once, kept in memory, never shown.

A user certificate of OpenSSH may stand beside its key: the line of ssh-keygen's `…-cert.pub`.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import cast

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from domain.certificates import CERTIFICATE, certificate_in
from domain.refusal import Refusal
from runners.os_support.terminal_text import printable

KEY_BYTES_MAX = 16 * 1024  # an RSA key of 8192 bits is 6.4 KiB
RSA_BITS_MIN = 1024  # sshd's own limit (RequiredRSASize of sshd_config)
RSA_BITS_MAX = 8192  # a signature with a longer one takes a tenth of a second and more
USER_CERTIFICATE = 1  # SSH2_CERT_TYPE_USER of OpenSSH's PROTOCOL.certkeys; hosts' are 2
NAMES_CHARACTERS_MAX = 100  # of the users that a certificate names, for a sentence
PROBE = b"signed to see whether the key is whole"

ALGORITHMS = {
    "ssh-rsa",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
}
READABLE = "An RSA, ECDSA or Ed25519 key in PEM or OpenSSH format is needed"

_PRIVATE = re.compile(rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----")
_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\s.*?-----END \1-----",
    re.DOTALL | re.ASCII,
)
_PUBLIC = re.compile(
    rb"-{4,5} ?BEGIN [A-Z0-9 ]*(PUBLIC KEY|CERTIFICATE)|^\s*(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA",
    re.MULTILINE,
)
_ONE_LINE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY----- +\S")
_INDENTED = re.compile(rb"^[ \t]+-----(BEGIN|END) ", re.MULTILINE)


@dataclass(frozen=True)
class PrivateKey:
    """A private key that can log in. Its repr and its errors show the fingerprint only."""

    key: asyncssh.SSHKey = field(repr=False, compare=False)
    algorithm: str
    """As in SSH: `ssh-rsa`, `ssh-ed25519`, `ecdsa-sha2-nistp256` …"""
    fingerprint: str
    """`SHA256:…` of the public key, as `ssh-keygen -l` prints it."""
    certificate: asyncssh.SSHCertificate | None = field(default=None, repr=False, compare=False)
    """What an authority says of the key. A host that does not take it may take the key alone."""


def decode_base64(text: str) -> bytes:
    """The bytes behind base64 that may have line breaks and spaces in it; Refusal otherwise."""
    packed = "".join(text.split())
    if not packed:
        raise _refusal("ssh_priv_key is empty: send the private key's file as base64.")
    if packed.startswith("-----BEGIN"):
        raise _refusal("ssh_priv_key is the key itself: send its file as base64.")
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        damage = "ssh_priv_key is not base64: send the private key's file as base64."
        raise _refusal(damage) from None


def read_private_key(raw: bytes) -> PrivateKey:
    """The one private key in a file's bytes; a Refusal that says what is wrong with it otherwise.

    Takes PKCS#1, SEC1 and PKCS#8 in PEM, and OpenSSH's own format. Costs a few milliseconds of
    CPU (RSA 8192: 40). A certificate has to be of this key, of a user, and valid today.
    """
    _refuse_what_is_no_private_key(raw)
    block = _the_one_block(raw)
    try:
        # The full check tests primes for 0.2 s at 4096 bits; a signature tells damage as well.
        key = asyncssh.import_private_key(block, unsafe_skip_rsa_key_validation=True)
        accepted = _accepted(key, _certificate(raw, key))
        _try_out(key)
    except Refusal:
        raise
    # asyncssh and cryptography leave the kind of error open for bytes that are no key. `from
    # None` here and below: what caused the error may hold parts of the key.
    except Exception as error:  # noqa: BLE001
        if "Passphrase must be specified" in str(error):
            raise _refusal(
                "The private key has a passphrase, which nobody could type here: send a copy"
                " without one (ssh-keygen -p -N '' -f COPY)."
            ) from None
        raise _refusal(f"The private key is damaged{_how(raw)}. {READABLE}.") from None
    return accepted


def kept_private_key(raw: bytes) -> PrivateKey:
    """The same of bytes that `read_private_key` took before: a fourth of the work.

    A certificate may have ended since: a login that fails says so.
    """
    key = asyncssh.import_private_key(_the_one_block(raw), unsafe_skip_rsa_key_validation=True)
    line = certificate_in(raw)
    return _accepted(key, asyncssh.import_certificate(line) if line else None)


def _refuse_what_is_no_private_key(raw: bytes) -> None:
    if len(raw) > KEY_BYTES_MAX:
        raise _refusal(f"The private key is longer than {KEY_BYTES_MAX // 1024} KiB. {READABLE}.")
    if raw.startswith(b"PuTTY-User-Key-File"):
        raise _refusal("The private key is in PuTTY's format: export it in OpenSSH's (puttygen).")
    if _PRIVATE.search(raw):
        return
    if _PUBLIC.search(raw):
        raise _refusal("This is a public key: the private key that belongs to it is needed.")
    raise _refusal(f"This is no private key. {READABLE}.")


def _the_one_block(raw: bytes) -> bytes:
    """The PEM block of the key, without what stands around it (EC parameters, comments)."""
    if len(_PRIVATE.findall(raw)) > 1:
        raise _refusal("There are several private keys in one: send the one that logs in.")
    if b"BEGIN DSA PRIVATE KEY" in raw:
        raise _refusal(f"DSA keys are refused by today's sshd. {READABLE}.")
    block = _BLOCK.search(raw)
    if block is None:
        how = _how(raw) or " or cut short: its END line is missing"
        raise _refusal(f"The private key is damaged{how}. {READABLE}.")
    return block.group() + b"\n"


def _how(raw: bytes) -> str:
    """How copying damages keys most often, where it is seen; "" elsewhere."""
    if b"\\n" in raw:
        return ": the two characters \\n stand where its lines should end"
    if _ONE_LINE.search(raw):
        return ": spaces stand where its lines should end"
    if _INDENTED.search(raw):
        return ": its lines are indented"
    return ""


def _certificate(raw: bytes, key: asyncssh.SSHKey) -> asyncssh.SSHCertificate | None:
    """The certificate beside the key, if there is one. Raises Refusal."""
    lines = CERTIFICATE.findall(raw)
    if not lines:
        return None
    if len(lines) > 1:
        raise _refusal("There are several certificates beside the key: send the one that logs in.")
    try:
        certificate = asyncssh.import_certificate(lines[0])
    except (asyncssh.KeyImportError, ValueError):
        raise _refusal("The certificate beside the key is damaged and cannot be read.") from None
    if certificate.key.public_data != key.public_data:
        raise _refusal("The certificate belongs to another key than the private key beside it.")
    try:
        cast(SSHOpenSSHCertificate, certificate).validate(USER_CERTIFICATE, None)
    except ValueError as error:
        raise _refusal(f"The certificate beside the key cannot log in: {error}.") from None
    return certificate


def defect_of_certificate(key: PrivateKey, user: str) -> str | None:
    """Why the certificate beside a key does not log the user in, as far as it tells.

    "" where it should; None where there is no certificate.
    """
    if key.certificate is None:
        return None
    certificate = cast(SSHOpenSSHCertificate, key.certificate)
    try:
        certificate.validate(USER_CERTIFICATE, None)
    except ValueError as error:
        return f"{error}. Send a renewed one to its credentials."
    if user not in certificate.principals:
        named = printable(", ".join(certificate.principals) or "nobody")[:NAMES_CHARACTERS_MAX]
        return f"it is for {named}, unless sshd has other names (AuthorizedPrincipalsFile)."
    return ""


def _try_out(key: asyncssh.SSHKey) -> None:
    """Sign and verify; ValueError where the numbers of the key do not belong together."""
    if key.get_algorithm() == "ssh-ed25519":
        return  # it is one number, of which asyncssh makes the public half
    signature = key.sign(PROBE, key.sig_algorithms[0])
    if not key.convert_to_public().verify(PROBE, signature):
        raise ValueError("the halves of the key differ")


def _accepted(key: asyncssh.SSHKey, certificate: asyncssh.SSHCertificate | None) -> PrivateKey:
    algorithm = key.get_algorithm()
    if algorithm == "ssh-dss":
        raise _refusal(f"DSA keys are refused by today's sshd. {READABLE}.")
    if algorithm not in ALGORITHMS:
        raise _refusal(f"A key of the kind {algorithm} cannot be used here. {READABLE}.")
    if algorithm == "ssh-rsa":
        bits = cast(RSAPrivateKey, key.pyca_key).key_size
        if not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
            raise _refusal(
                f"The RSA key has {bits} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} can be used"
                " (ssh-keygen -t ed25519 makes a good new key)."
            )
    return PrivateKey(key, algorithm, key.get_fingerprint(), certificate)


def _refusal(sentence: str) -> Refusal:
    return Refusal(kind="invalid", key="ssh_priv_key", sentence=sentence)
