"""Whose certificates are believed where this service is the client."""

import ssl
from pathlib import Path


def trust_in(ca_file: str | Path | None) -> ssl.SSLContext:
    """Trust in the authorities of a file, or in those of this machine, whatever Python's version.

    Since 3.13 Python has OpenSSL refuse a chain for what RFC 5280 asks of it beyond its signatures
    and names, such as a key identifier: many a cluster and house has an authority without.
    Raises OSError (`ssl.SSLError` is one) where the file cannot be used.
    """
    context = ssl.create_default_context(cafile=ca_file and str(ca_file))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
