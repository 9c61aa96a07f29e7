"""The tokens file: `{"name": {"hash": "<sha256>", "role": …, "created": …, "expires": …}}`.

Times are UTC; without `expires` a token is good until it is revoked. Tokens themselves are shown
once, when they are made, and kept nowhere. `commissaire token …` changes the file.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple, get_args

from domain import spans
from domain.roles import Role
from runners.os_support.json_file import BrokenFile, ChangeRefused, EntriesFile, check_new_name
from web.authentication.authentication import Identity
from web.authentication.tokens import Token, digest, new_token

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
HASH = re.compile(r"[0-9a-f]{64}")


class KnownToken(NamedTuple):
    """An entry of the file."""

    hash: bytes
    role: Role
    created: datetime
    expires: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Whether it is good no more."""
        return self.expires is not None and self.expires <= now


class TokensFile(EntriesFile[KnownToken]):
    """The tokens of one file."""

    def __init__(
        self, path: Path, report: Callable[[BrokenFile], None] = lambda broken: None
    ) -> None:
        super().__init__(path, _known, _entry, report)
        self._indexed: Mapping[str, KnownToken] | None = None
        self._by_digest: dict[bytes, Token] = {}

    def find(self, digest: bytes) -> Token | None:
        """The token with this digest; costs one stat() while the file stays as it is."""
        entries = self.entries
        if entries is not self._indexed:
            self._by_digest = {known.hash: _token(name, known) for name, known in entries.items()}
            self._indexed = entries
        return self._by_digest.get(digest)

    def create(self, name: str, role: Role, now: datetime, expires: datetime | None) -> str:
        """A new token, which nobody can show again.

        Raises ChangeRefused, BrokenFile or OSError, and then has changed nothing.
        """
        check_new_name("token", name)
        token = new_token()
        with self.changing() as tokens:
            if name in tokens:
                raise ChangeRefused(f"There is a token {name} in {self.path}: revoke it first.")
            tokens[name] = KnownToken(digest(token.encode()), role, now, expires)
        return token

    def revoke(self, name: str) -> None:
        """Makes a token worthless. Raises ChangeRefused where there is none of this name."""
        with self.changing() as tokens:
            if tokens.pop(name, None) is None:
                raise ChangeRefused(f"There is no token {name!r} in {self.path}.")


def expiry(text: str, now: datetime) -> datetime:
    """The end of `60s`, `12h` or `30d` from now, or the beginning of a day such as `2027-01-31`.

    Raises ChangeRefused for anything else, and for what has passed.
    """
    try:
        end = spans.after(text, now)
        if end is None:
            day = date.fromisoformat(text)
            end = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ChangeRefused(
            f"--expires {text!r}: a time such as 60s, 12h, 30d or 2w, or a day such as 2027-01-31."
        ) from None
    if end <= now:
        raise ChangeRefused(f"--expires {text}: that has begun already (in UTC).")
    return end


def _token(name: str, known: KnownToken) -> Token:
    end = known.expires.timestamp() if known.expires else math.inf
    # No user has a name with a colon in it.
    return Token(Identity(f"token:{name}", known.role), end)


def _entry(known: KnownToken) -> dict[str, str]:
    entry = {
        "hash": known.hash.hex(),
        "role": known.role,
        "created": known.created.strftime(TIME_FORMAT),
    }
    return entry | ({"expires": known.expires.strftime(TIME_FORMAT)} if known.expires else {})


def _known(name: str, entry: object, path: Path) -> KnownToken:
    where = f"Token {name!r} in {path}"
    if not name or not name.isprintable():
        raise BrokenFile(f"{where}: a name has no control characters.")
    # A misspelt "expires" must not make a token that is good for ever.
    if not isinstance(entry, dict) or not {"hash", "role", "created"} <= entry.keys() <= {
        "hash",
        "role",
        "created",
        "expires",
    }:
        raise BrokenFile(f'{where}: an object with "hash", "role", "created" and maybe "expires".')
    if entry["role"] not in get_args(Role):
        raise BrokenFile(f"{where}: a role is one of {', '.join(get_args(Role))}.")
    if not isinstance(entry["hash"], str) or not HASH.fullmatch(entry["hash"]):
        raise BrokenFile(f"{where}: the hash is no SHA-256 in hexadecimal digits.")
    return KnownToken(
        bytes.fromhex(entry["hash"]),
        entry["role"],
        _time(entry["created"], where),
        _time(entry["expires"], where) if "expires" in entry else None,
    )


def _time(value: object, where: str) -> datetime:
    try:
        return datetime.strptime(str(value), TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise BrokenFile(f"{where}: a time is written as 2027-01-31T00:00:00Z.") from None
