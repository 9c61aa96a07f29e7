"""New passwords: what one may be, and its hash."""

import unicodedata

from domain.refusal import invalid
from web.authentication.authentication import BCRYPT_COST, PASSWORD_BYTES_MAX

new_cost = BCRYPT_COST
"""The cost of new passwords' hashes; tests take a cheap one."""


def secret_of(password: str, key: str | None = None) -> bytes:
    """The bytes of a new password. Refuses one that could not log in."""
    if not password:
        raise invalid("A password must not be empty.", key)
    # RFC 7617 allows none in HTTP Basic.
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise invalid("A password must not contain control characters or line ends.", key)
    secret = password.encode(errors="surrogateescape")
    if len(secret) > PASSWORD_BYTES_MAX:
        raise invalid(
            f"A password has at most {PASSWORD_BYTES_MAX} bytes (bcrypt looks at no more);"
            f" this one has {len(secret)}.",
            key,
        )
    return secret


def hashed(secret: bytes, cost: int | None = None) -> bytes:
    """The bcrypt hash: at cost 12, a quarter of a second of work."""
    # Only here, so that commands that need none start faster.
    import bcrypt

    return bcrypt.hashpw(secret, bcrypt.gensalt(new_cost if cost is None else cost))
