"""The users file: `{"name": {"hash": "<bcrypt>", "role": "admin|operator|viewer"}}`.

It is what old installations have; an entry without a role is an admin, as it was there. An entry
without a hash is a user who comes with a client certificate only, and must have a role. The
service reads it again when it changes; `commissaire user …` changes it.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from domain.refusal import Refusal
from domain.roles import Role
from runners.os_support.json_file import BrokenFile, ChangeRefused, EntriesFile, check_new_name
from runners.settings.old_config import users_in
from runners.settings.settings import Settings
from web.authentication.authentication import NO_PASSWORD, Account
from web.authentication.passwords import hashed, secret_of

# A cost of 16 is four seconds for each log-in: more would stop the service, not protect it.
BCRYPT_COST_MAX = 16
BCRYPT_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
DEFAULT_ROLE: Role = "admin"


class UsersFile(EntriesFile[Account]):
    """The users of one file; with `in_settings` they stand somewhere in a settings file of 2017."""

    def __init__(
        self,
        path: Path,
        report: Callable[[BrokenFile], None] = lambda broken: None,
        *,
        in_settings: bool = False,
    ) -> None:
        super().__init__(path, _account, _entry, report)
        self._in_settings = in_settings

    def entries_of(self, found: dict[str, object]) -> Mapping[str, object]:
        """All of the file, or what is the users of a settings file. Raises BrokenFile."""
        if not self._in_settings:
            return found
        try:
            return users_in(found) or {}
        except ValueError as error:
            raise BrokenFile(f"{self.path} cannot be used: {error}.") from None

    @property
    def users(self) -> Mapping[str, Account]:
        """All users by name; costs one stat() while the file stays as it is."""
        return self.entries

    def add(
        self, name: str, password_hash: bytes, role: Role | None = None, *, replace: bool = False
    ) -> Account:
        """Adds a user, or with `replace` changes one; NO_PASSWORD for a hash: certificates only.

        Without a role it stays as it is; a new user has `DEFAULT_ROLE`. Raises ChangeRefused,
        BrokenFile or OSError, and then has changed nothing.
        """
        self._must_be_ours()
        with self.changing() as users:
            self._check(name, users, replace=replace)
            before = users[name].role if name in users else DEFAULT_ROLE
            users[name] = Account(password_hash, role or before)
            return users[name]

    def check_addition(self, name: str, *, replace: bool = False) -> None:
        """Raises ChangeRefused where `add` would, so that nobody gives a password in vain."""
        self._must_be_ours()
        self._check(name, self.read(), replace=replace)

    def remove(self, name: str) -> None:
        """Removes a user. Raises ChangeRefused where there is none, BrokenFile or OSError."""
        self._must_be_ours()
        with self.changing() as users:
            if users.pop(name, None) is None:
                raise ChangeRefused(f"There is no user {name!r} in {self.path}.")

    def _must_be_ours(self) -> None:
        if self._in_settings:
            raise ChangeRefused(
                f"The users stand in {self.path} among settings: change it by hand, or name a file"
                " of their own with --users."
            )

    def _check(self, name: str, users: Mapping[str, Account], *, replace: bool) -> None:
        check_new_name("user", name)
        if name in users and not replace:
            raise ChangeRefused(
                f"There is a user {name} in {self.path} already: --replace changes the password."
            )


def users_file(
    settings: Settings, report: Callable[[BrokenFile], None] = lambda broken: None
) -> UsersFile:
    """The file of users that the settings name."""
    in_settings = settings.users_are_in_config
    return UsersFile(settings.users_file, report, in_settings=in_settings)


def hash_password(password: str, cost: int | None = None) -> bytes:
    """The bcrypt hash of a new password. Raises ChangeRefused for one that could not log in."""
    try:
        return hashed(secret_of(password), cost)
    except Refusal as refusal:
        raise ChangeRefused(refusal.sentence) from None


def _entry(account: Account) -> dict[str, str]:
    if account.hash == NO_PASSWORD:
        return {"role": account.role}
    return {"hash": account.hash.decode(), "role": account.role}


def _account(name: str, entry: object, path: Path) -> Account:
    where = f"User {name!r} in {path}"
    if not name or ":" in name or not name.isprintable():
        raise BrokenFile(f'{where}: a name has no ":" and no control characters.')
    if not isinstance(entry, dict):
        raise BrokenFile(f'{where}: not an object with "hash" and "role".')
    # A misspelt "role" must not make an admin.
    if not entry.keys() <= {"hash", "role"}:
        raise BrokenFile(f'{where}: there are keys other than "hash" and "role".')
    role = entry.get("role", DEFAULT_ROLE)
    if role not in get_args(Role):
        raise BrokenFile(f"{where}: a role is one of {', '.join(get_args(Role))}.")
    if "hash" not in entry and "role" in entry:
        return Account(NO_PASSWORD, role)
    hashed = entry.get("hash")
    shape = BCRYPT_HASH.fullmatch(hashed) if isinstance(hashed, str) else None
    if shape is None or not 4 <= int(shape[1]) <= BCRYPT_COST_MAX:
        raise BrokenFile(
            f"{where}: the hash is not one of bcrypt ($2a$, $2b$, $2y$) with a cost of 04 to"
            f" {BCRYPT_COST_MAX}."
        )
    return Account(shape[0].encode(), role)
