"""CAs and certificates, made up on the spot."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path

    @property
    def flags(self) -> list[str]:
        """How `serve` is told."""
        return ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]


class Authority:
    """A CA that certifies whatever it is asked to."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = directory / f"{name}.pem"
        certificate = (
            self._builder(self._name, self._key, timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def server(self, name: str = "server") -> Pair:
        """For a server on loopback."""
        loopback = [ip_address(text) for text in ("127.0.0.1", "::1")]
        names = [*map(x509.IPAddress, loopback), x509.DNSName("localhost")]
        return self._certify(name, "commissaire", names)

    def client(
        self,
        common_name: str,
        *others: str,
        valid: timedelta = timedelta(days=1),
        file: str = "client",
        purpose: x509.ObjectIdentifier | None = None,
    ) -> Pair:
        """For a client; of the other names, mail addresses are those with an @."""
        names: list[x509.GeneralName] = [
            x509.RFC822Name(other) if "@" in other else x509.DNSName(other) for other in others
        ]
        return self._certify(file, common_name, names, valid, purpose)

    def trust(self, client: Pair | None = None) -> ssl.SSLContext:
        """What a client has that trusts this CA."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the authority has no key identifier
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def _certify(
        self,
        file: str,
        common_name: str,
        names: list[x509.GeneralName],
        valid: timedelta = timedelta(days=1),
        purpose: x509.ObjectIdentifier | None = None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._builder(subject, key, valid)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair = Pair(self._directory / f"{file}.crt", self._directory / f"{file}.key")
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        write_key(pair.key, key)
        return pair

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + valid)
        )


def write_key(path: Path, key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> None:
    """A key in PEM."""
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
