"""The users file: `{"name": {"hash": "<bcrypt>", "role": "admin|operator|viewer"}}`.

It is what old installations have; an entry without a role is an admin, as it was there. The
service reads it again when it changes; `commissaire user …` changes it.
"""

import contextlib
import fcntl
import json
import os
import re
import stat
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from web.authentication import BCRYPT_COST, PASSWORD_BYTES_MAX, Account, Role

USERS_FILE_BYTES_MAX = 16 * 1024 * 1024
LOCK_WAIT_S = 10.0
LOCK_PAUSE_S = 0.02
# A file that changes twice within a tick of the kernel's clock can look the same afterwards.
SETTLED_AFTER_NS = 100_000_000

# What may be added; files of old installations may hold other names, but for ":" (RFC 7617).
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
# A cost of 16 is four seconds for each log-in: more would stop the service, not protect it.
BCRYPT_COST_MAX = 16
BCRYPT_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
DEFAULT_ROLE: Role = "admin"

Signature = tuple[int, int, int, int]


class BrokenUsersFile(Exception):
    """The users file cannot be used; the sentence says why and where."""


class UserRefused(Exception):
    """A change of the users that cannot be made; the sentence says why."""


class UsersFile:
    """The users of one file, read again when it changes; without the file there are none.

    While the file is broken the users stay as they were, and `report` is told, once per breakage.
    """

    def __init__(
        self, path: Path, report: Callable[[BrokenUsersFile], None] = lambda broken: None
    ) -> None:
        self.path = path
        self._report = report
        self._users: Mapping[str, Account] = MappingProxyType({})
        self._signature: Signature | None = None
        self._settled = False
        self._text: bytes | None = None
        self._broken = ""

    @property
    def users(self) -> Mapping[str, Account]:
        """All users by name; costs one stat() while the file stays as it is."""
        try:
            found = self.path.stat()
            signature = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        except OSError:
            signature = None
        if signature != self._signature or not self._settled:
            self._read_again(signature)
        return self._users

    @property
    def broken(self) -> str:
        """Why the file cannot be used as it is now, in a sentence; "" where it can."""
        _ = self.users
        return self._broken

    def read(self) -> Mapping[str, Account]:
        """All users by name, as the file says now. Raises BrokenUsersFile."""
        return _parsed(_text(self.path), self.path)

    def add(self, name: str, password_hash: bytes, role: Role, *, replace: bool = False) -> None:
        """Adds a user, or with `replace` changes one.

        Raises UserRefused, BrokenUsersFile or OSError, and then has changed nothing.
        """
        with self._locked():
            self.check_addition(name, replace=replace)
            self._write({**self.read(), name: Account(password_hash, role)})

    def check_addition(self, name: str, *, replace: bool = False) -> None:
        """Raises UserRefused where `add` would, so that nobody is asked for a password in vain."""
        if not NAME.fullmatch(name):
            raise UserRefused(
                "A user name is 1 to 64 of A-Z a-z 0-9 . _ @ + - and begins with a letter or digit."
            )
        if name in self.read() and not replace:
            raise UserRefused(
                f"There is a user {name} in {self.path} already: --replace changes the password."
            )

    def remove(self, name: str) -> None:
        """Removes a user. Raises UserRefused where there is none, BrokenUsersFile or OSError."""
        with self._locked():
            users = dict(self.read())
            if users.pop(name, None) is None:
                raise UserRefused(f"There is no user {name!r} in {self.path}.")
            self._write(users)

    def _read_again(self, signature: Signature | None) -> None:
        changed = signature != self._signature
        self._signature = signature
        # The file's clock may differ from ours: only what seems very young is read once more.
        age_ns = time.time_ns() - signature[0] if signature else SETTLED_AFTER_NS
        self._settled = not 0 <= age_ns < SETTLED_AFTER_NS
        try:
            text = _text(self.path)
            if text == self._text and not changed:
                return
            self._text = text
            self._users = MappingProxyType(_parsed(text, self.path))
            self._broken = ""
        except BrokenUsersFile as broken:
            if str(broken) != self._broken:
                self._report(broken)
            self._broken = str(broken)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the lock is on the directory, so that no lock file stays behind."""
        directory = os.open(self.path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            until = time.monotonic() + LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise UserRefused(f"Somebody else is writing {self.path}.") from None
                    time.sleep(LOCK_PAUSE_S)
            yield
            os.fsync(directory)
        finally:
            os.close(directory)

    def _write(self, users: Mapping[str, Account]) -> None:
        """Replaces the file at once; it keeps its owner, and nobody else may read it."""
        entries = {n: {"hash": a.hash.decode(), "role": a.role} for n, a in users.items()}
        # The file itself, where the path is a symbolic link.
        path = self.path.resolve()
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                with contextlib.suppress(FileNotFoundError):
                    before = path.stat()
                    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                json.dump(entries, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise


def hash_password(password: str, cost: int = BCRYPT_COST) -> bytes:
    """The bcrypt hash of a new password. Raises UserRefused for one that could not log in."""
    # Only here, so that the other commands start faster.
    import bcrypt

    if not password:
        raise UserRefused("A password must not be empty.")
    # RFC 7617 allows none in HTTP Basic.
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise UserRefused("A password must not contain control characters or line ends.")
    secret = password.encode(errors="surrogateescape")
    if len(secret) > PASSWORD_BYTES_MAX:
        raise UserRefused(
            f"A password has at most {PASSWORD_BYTES_MAX} bytes (bcrypt looks at no more);"
            f" this one has {len(secret)}."
        )
    return bcrypt.hashpw(secret, bcrypt.gensalt(cost))


def _text(path: Path) -> bytes | None:
    """The file's bytes; None where there is no file. Raises BrokenUsersFile."""
    try:
        # Without O_NONBLOCK a named pipe in its place would keep us here forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BrokenUsersFile(f"{path} is not a file.")
            text = _read_up_to(USERS_FILE_BYTES_MAX + 1, descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BrokenUsersFile(f"{path} cannot be read: {error.strerror}.") from error
    if len(text) > USERS_FILE_BYTES_MAX:
        raise BrokenUsersFile(f"{path} is larger than {USERS_FILE_BYTES_MAX} bytes.")
    return text


def _read_up_to(size: int, descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(size)


def _parsed(text: bytes | None, path: Path) -> dict[str, Account]:
    """The users that a file says there are. Raises BrokenUsersFile."""
    if text is None:
        return {}

    def no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise BrokenUsersFile(f"{path} has a name twice in the same object.")
        return dict(pairs)

    try:
        entries = json.loads(text, object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        # The error of json quotes nothing of the file.
        raise BrokenUsersFile(f"{path} is not JSON: {error}.") from None
    if not isinstance(entries, dict):
        raise BrokenUsersFile(f"{path} is not a JSON object of users by name.")
    return {name: _account(name, entry, path) for name, entry in entries.items()}


def _account(name: str, entry: object, path: Path) -> Account:
    where = f"User {name!r} in {path}"
    if not name or ":" in name or not name.isprintable():
        raise BrokenUsersFile(f'{where}: a name has no ":" and no control characters.')
    if not isinstance(entry, dict):
        raise BrokenUsersFile(f'{where}: not an object with "hash" and "role".')
    # A misspelt "role" must not make an admin.
    if not entry.keys() <= {"hash", "role"}:
        raise BrokenUsersFile(f'{where}: there are keys other than "hash" and "role".')
    role = entry.get("role", DEFAULT_ROLE)
    if role not in get_args(Role):
        raise BrokenUsersFile(f"{where}: a role is one of {', '.join(get_args(Role))}.")
    hashed = entry.get("hash")
    shape = BCRYPT_HASH.fullmatch(hashed) if isinstance(hashed, str) else None
    if shape is None or not 4 <= int(shape[1]) <= BCRYPT_COST_MAX:
        raise BrokenUsersFile(
            f"{where}: the hash is not one of bcrypt ($2a$, $2b$, $2y$) with a cost of 04 to"
            f" {BCRYPT_COST_MAX}."
        )
    return Account(shape[0].encode(), role)
