"""User certificates of OpenSSH beside private keys: which one a file has, as text."""

import re

CERTIFICATE = re.compile(
    rb"^\s*((?:ssh|ecdsa)-[a-z0-9-]+-cert-v01@openssh\.com AAAA\S+)", re.MULTILINE
)
"""The line of ssh-keygen's `…-cert.pub`, without its comment."""


def certificate_in(file: bytes) -> bytes:
    """The first certificate beside a key; empty where there is none."""
    found = CERTIFICATE.search(file)
    return found[1] if found else b""
