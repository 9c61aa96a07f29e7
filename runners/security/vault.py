"""Private keys and tokens, each under a data key of its own that the master key wraps.

Whoever has the database alone has nothing: the master key lives elsewhere. Whoever has the
master key and an old copy of the database has what was kept then; destroying a subject's data
key makes its secret unreadable in every copy made later.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from domain.commands.fleet_commands import Part, Unit
from domain.log.engine import Engine
from domain.log.transaction import EngineName, Transaction
from projections.tables import BYTES, TEXT

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D recommends 96 bits for GCM
CANARY = "vault/canary"
RUNNER_PREFIX = "runner:"
"""What the name of a process manager begins with, and no user's."""
ROUTINE_READINGS_MAX = 1_000_000
"""First readings by runners that are remembered, 60 bytes each; beyond, all are told again."""

SELECT = "SELECT wrapped_key, ciphertext FROM vault WHERE subject = ?"
UPSERT = """
    INSERT INTO vault (subject, wrapped_key, ciphertext) VALUES (?, ?, ?)
    ON CONFLICT (subject) DO UPDATE
    SET wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext
"""
DELETE = "DELETE FROM vault WHERE subject = ?"


class WrongMasterKey(Exception):
    """The master key is missing, malformed, or not the one of this database."""


class NoSecret(LookupError):
    """Nothing is kept for this subject, or nothing any more."""


class Vault:
    """Secrets by subject (`host/10.0.0.7`).

    `audit(subject, reader)` is called for each reading by a person, and for the first reading of a
    secret by a runner since the secret was kept or the process started. The readings of a runner
    that checks thousands of hosts a minute would hide those that somebody looks for.
    """

    def __init__(
        self, master_key: bytes, audit: Callable[[str, str], None] = lambda subject, reader: None
    ) -> None:
        self._master = AESGCM(master_key)
        self._audit = audit
        self._routine: set[int] = set()
        """Digests of a runner and the data key of a secret that the runner has read."""

    def __repr__(self) -> str:
        return "Vault(…)"

    def open(self, engine: Engine) -> None:
        """Create what is not there; `WrongMasterKey` where the key is another database's."""
        engine.execute_schema([_schema(engine.name)])
        with engine.snapshot() as tx:
            found = tx.execute(SELECT, (CANARY,)).fetchone()
            used = tx.execute("SELECT 1 FROM vault LIMIT 1").fetchone()
        if found is not None:
            self._unsealed(CANARY, found)
        elif used is not None:
            raise WrongMasterKey("the vault has lost its canary row: restore the database")
        else:
            with engine.append(lock_timeout_s=10) as appending:
                self._write(appending.tx, CANARY, CANARY.encode())
                appending.commit()

    def check(self, tx: Transaction) -> None:
        """`WrongMasterKey` where the key is not that of this database; nothing is written."""
        found = tx.execute(SELECT, (CANARY,)).fetchone()
        if found is None:
            raise WrongMasterKey("the vault has no canary row")
        self._unsealed(CANARY, found)

    def keep(self, unit: Unit, subject: str, secret: bytes) -> None:
        """Keep a secret, in place of the one before."""
        unit.write_beside(lambda tx: self._write(tx, subject, secret))

    def replace(self, unit: Unit, subject: str, secret: bytes) -> None:
        """Keep a secret, and make the one before unreadable, in the files of the database too."""
        unit.write_beside(lambda tx: self._write(tx, subject, secret), scrub=True)

    def destroy(self, unit: Unit, subject: str) -> None:
        """Make the subject's secret unreadable for good, in the files of the database too."""

        def delete(tx: Transaction) -> None:
            tx.execute(DELETE, (subject,))

        unit.write_beside(delete, scrub=True)

    def matches(self, unit: Unit, subject: str, secret: bytes, part: Part = bytes) -> bool:
        """Whether this very secret, or one with the same part, is kept. Nobody gets to see it."""
        found = unit.tx.execute(SELECT, (subject,)).fetchone()
        if found is None:
            return False
        return hmac.compare_digest(part(self._unsealed(subject, found)), part(secret))

    def reveal(self, tx: Transaction, subject: str, reader: str) -> bytes:
        """The secret itself. `reader` is a user, or a runner such as `runner:watcher`.

        Raises `NoSecret` where there is none.
        """
        found = tx.execute(SELECT, (subject,)).fetchone()
        if found is None:
            raise NoSecret(f"no secret is kept for {subject}")
        secret = self._unsealed(subject, found)
        if not self._is_routine(reader, bytes(found[0])):
            self._audit(subject, reader)
        return secret

    def own(self, tx: Transaction, subject: str) -> bytes | None:
        """A secret of the service's own, which nobody but itself uses: no reading of it is told.

        None where there is none.
        """
        found = tx.execute(SELECT, (subject,)).fetchone()
        return None if found is None else self._unsealed(subject, found)

    def keep_own(self, tx: Transaction, subject: str, secret: bytes) -> None:
        """Keep such a secret, in a transaction that is no command's."""
        self._write(tx, subject, secret)

    def _is_routine(self, reader: str, data_key: bytes) -> bool:
        """Whether it is a runner that has read this very secret before; it is remembered."""
        if not reader.startswith(RUNNER_PREFIX):
            return False
        reading = hash((reader, data_key))
        if reading in self._routine:
            return True
        if len(self._routine) >= ROUTINE_READINGS_MAX:
            self._routine.clear()
        self._routine.add(reading)
        return False

    def _write(self, tx: Transaction, subject: str, secret: bytes) -> None:
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        wrapped = _seal(self._master, data_key, subject)
        tx.execute(UPSERT, (subject, wrapped, _seal(AESGCM(data_key), secret, subject)))

    def _unsealed(self, subject: str, row: tuple[bytes, bytes]) -> bytes:
        try:
            data_key = _unseal(self._master, bytes(row[0]), subject)
            return _unseal(AESGCM(data_key), bytes(row[1]), subject)
        except InvalidTag:
            raise WrongMasterKey(
                f"the master key does not open {subject}: is it the one of this database?"
            ) from None


TABLE = "vault"


def _schema(engine: EngineName) -> str:
    return f"""
        CREATE TABLE IF NOT EXISTS vault (
            subject {TEXT[engine]} PRIMARY KEY,
            wrapped_key {BYTES[engine]} NOT NULL,
            ciphertext {BYTES[engine]} NOT NULL
        )
    """


def _seal(key: AESGCM, secret: bytes, subject: str) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    # The subject is authenticated, so that rows cannot be swapped.
    return nonce + key.encrypt(nonce, secret, subject.encode())


def _unseal(key: AESGCM, sealed: bytes, subject: str) -> bytes:
    return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], subject.encode())


def master_key(text: str | None, path: Path) -> bytes:
    """The key from a variable's text, else from a file, which is made where it does not exist.

    Both are base64 of 32 bytes. `WrongMasterKey` says what is wrong, and never what was there.
    """
    if text is not None:
        return _decoded(text, "COMMISSAIRE_MASTER_KEY")
    try:
        return kept_master_key(path)
    except FileNotFoundError:
        return _made(path)


def master_key_given(text: SecretStr | None, path: Path) -> bytes:
    """As `master_key`, and none is made. Raises `FileNotFoundError`."""
    if text is not None:
        return _decoded(text.get_secret_value(), "COMMISSAIRE_MASTER_KEY")
    return kept_master_key(path)


def kept_master_key(path: Path) -> bytes:
    """The key in a file. Raises `FileNotFoundError`, or `WrongMasterKey` where it is no key."""
    try:
        return _decoded(path.read_text("ascii"), str(path))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise WrongMasterKey(f"the master key {path} cannot be read: {error}") from None


def _decoded(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise WrongMasterKey(f"{source} is no master key: it must be base64 of {KEY_BYTES} bytes")
    return key


def _made(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    # A file that is there under its name is whole: written aside, synced, then linked.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:  # another process was first
            return _decoded(path.read_text("ascii"), str(path))
        finally:
            aside.unlink()
    except OSError as error:
        raise WrongMasterKey(f"the master key {path} cannot be made: {error}") from None
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return key
