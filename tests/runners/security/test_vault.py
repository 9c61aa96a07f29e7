"""The vault tells which of its readings somebody wants to know of."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.event import Act
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.recorder import LogRecorder, now
from domain.log.unit import Aggregates, Unit
from runners.security.vault import NoSecret, Vault

SUBJECT = "host/10.0.0.7"
WATCHER = "runner:watcher"


class AuditedVault:
    """A vault on a file of its own, and what was told of its readings."""

    def __init__(self, engine: SQLiteEngine) -> None:
        self.told: list[tuple[str, str]] = []
        self._engine = engine
        self._vault = Vault(
            secrets.token_bytes(32), lambda subject, reader: self.told.append((subject, reader))
        )
        self._vault.open(engine)

    def keep(self, secret: bytes) -> None:
        """Keep a secret for the host."""
        with self._engine.append(lock_timeout_s=1) as appending:
            unit = Unit(appending.tx, Aggregates(), Act("ada", "", now()))
            self._vault.keep(unit, SUBJECT, secret)
            for write in unit.writes:
                write(appending.tx)
            appending.commit()

    def read(self, *readers: str) -> list[tuple[str, str]]:
        """Let each reader read it; gives what was told of that."""
        self.told.clear()
        with self._engine.snapshot() as tx:
            for reader in readers:
                self._vault.reveal(tx, SUBJECT, reader)
        return self.told[:]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[AuditedVault]:
    engine = SQLiteEngine(tmp_path / "vault.db")
    LogRecorder(engine).create_table()
    yield AuditedVault(engine)
    engine.close()


def test_each_reading_by_a_person_is_told(vault: AuditedVault) -> None:
    vault.keep(b"a key")
    assert vault.read("ada", "ada") == [(SUBJECT, "ada")] * 2


def test_of_a_runner_the_first_reading_of_a_secret_is_told(vault: AuditedVault) -> None:
    vault.keep(b"a key")
    assert vault.read(WATCHER, WATCHER) == [(SUBJECT, WATCHER)]
    assert vault.read(WATCHER, "runner:rolling") == [(SUBJECT, "runner:rolling")]


def test_a_secret_that_was_changed_is_another_secret(vault: AuditedVault) -> None:
    vault.keep(b"a key")
    vault.read(WATCHER)
    vault.keep(b"another key")
    assert vault.read(WATCHER) == [(SUBJECT, WATCHER)]


def test_a_secret_that_is_not_there_is_not_told(vault: AuditedVault) -> None:
    with pytest.raises(NoSecret):
        vault.read("ada")
    assert vault.told == []
