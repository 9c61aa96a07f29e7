"""TLS of the HTTP server: what it offers, whom it asks for a certificate, new files on demand."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from web.authentication.certificates import ClientCertificate

# Of TLS 1.2, what TLS 1.3 has too: forward secrecy and authenticated encryption.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
NAMES = ("DNS", "email", "URI")
"""The kinds of subject alternative names that may be a user."""


class WrongTls(Exception):
    """The files cannot be used; the sentence says which, and why."""


class TlsFiles(NamedTuple):
    """What the operator names."""

    certificate: Path
    """The server's certificate, then those between it and the root; PEM."""
    key: Path | None
    """Its private key; None where it is in the same file."""
    client_ca: Path | None = None
    """Who vouches for clients; None: clients are not asked for a certificate."""
    client_required: bool = False
    """Whether who brings none is turned away before the first request."""


class Certificate(NamedTuple):
    """What people may know of the certificate that is served."""

    fingerprint: str
    """SHA-256, hexadecimal."""
    expires: datetime


class Tls:
    """The TLS context for new connections; `reload` makes another, for those to come."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises WrongTls."""
        self._files = files
        self.context, self.certificate = _context(files), _served(files.certificate)

    def reload(self) -> None:
        """Read the files again. Raises WrongTls, and then goes on with what was read before.

        Not `load_cert_chain` on the live context: that leaves half of it changed where the key
        does not fit, and never forgets a client CA.
        """
        context, certificate = _context(self._files), _served(self._files.certificate)
        self.context, self.certificate = context, certificate


def client_certificate(peer: ssl.SSLObject | None) -> ClientCertificate | None:
    """What the other side proved to be; None where it showed no certificate."""
    shown = peer.getpeercert() if peer is not None else None
    if not shown:
        return None
    # Any: the ssl module's dictionary has values of many shapes.
    subject: tuple[tuple[tuple[str, str], ...], ...] = shown.get("subject", ())  # type: ignore[assignment]
    others: tuple[tuple[str, str], ...] = shown.get("subjectAltName", ())  # type: ignore[assignment]
    common = [value for part in subject for kind, value in part if kind == "commonName"]
    names = common + [value for kind, value in others if kind in NAMES]
    expires_at = float(ssl.cert_time_to_seconds(str(shown["notAfter"])))
    return ClientCertificate(tuple(dict.fromkeys(names)), expires_at)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    for path in (files.certificate, files.key, files.client_ca):
        if path is not None:
            _readable(path)
    _load_chain(context, files.certificate, files.key or files.certificate)
    if files.client_ca is not None:
        _explained(
            lambda: context.load_verify_locations(cafile=files.client_ca),
            f"{files.client_ca} has no CA certificates in PEM",
        )
        context.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
    return context


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    locked = False

    def passphrase() -> str:
        nonlocal locked
        locked = True
        return ""

    try:
        context.load_cert_chain(certificate, key, passphrase)
    except (OSError, ValueError) as error:  # errors of TLS are of the first kind
        reason = getattr(error, "reason", None) or ""
        if locked:
            sentence = f"{key} has a passphrase, which nobody could type here"
        elif reason == "KEY_VALUES_MISMATCH":
            sentence = f"{key} is not the key of the certificate {certificate}"
        else:
            words = f" ({reason.lower().replace('_', ' ')})" if reason else ""
            sentence = f"{certificate} and {key} are no certificate and its key in PEM{words}"
        raise WrongTls(sentence) from None


def _readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise WrongTls(f"{path} cannot be read: {error.strerror}") from None


def _explained(load: Callable[[], None], sentence: str) -> None:
    try:
        load()
    except OSError:  # errors of TLS are some; a file may also go while it is looked at
        raise WrongTls(sentence) from None


def _served(path: Path) -> Certificate:
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        raise WrongTls(f"{path} is no certificate in PEM") from None
    return Certificate(certificate.fingerprint(SHA256()).hex(), certificate.not_valid_after_utc)


def is_expired(certificate: Certificate) -> bool:
    """Whether clients refuse it by now."""
    return certificate.expires <= datetime.now(UTC)
