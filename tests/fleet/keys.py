"""Key pairs, made up on the spot."""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

RSA_BITS = 2048


@dataclass(frozen=True)
class KeyPair:
    """A private key without a passphrase, and its public half as in authorized_keys."""

    private: bytes
    public: str

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as ssh-keygen -l shows it."""
        blob = base64.b64decode(self.public.split()[1])
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")


def new_key(kind: str = "ed25519", pem: bool = False) -> KeyPair:
    """A fresh pair. kind: ed25519, ecdsa or rsa; OpenSSH's format, or PEM (PKCS#8 for ed25519)."""
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    match kind:
        case "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
        case "ecdsa":
            key = ec.generate_private_key(ec.SECP256R1())
        case "rsa":
            key = rsa.generate_private_key(65537, RSA_BITS)
        case _:
            raise ValueError(f"no kind of key: {kind!r}")
    layout = PrivateFormat.OpenSSH
    if pem:
        layout = PrivateFormat.PKCS8 if kind == "ed25519" else PrivateFormat.TraditionalOpenSSL
    return KeyPair(
        private=key.private_bytes(Encoding.PEM, layout, NoEncryption()),
        public=key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )
