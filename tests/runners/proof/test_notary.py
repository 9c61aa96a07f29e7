"""The key of the log: made once, kept in the vault, rotated by an event that both keys sign; and
what the log says of itself each day."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from domain.aggregates.log_history import CheckpointSigned, KeyRotated
from domain.commands import fleet_commands
from domain.event import Act
from domain.log import recorder
from domain.log.mapper import to_event
from domain.log.recorder import entries
from domain.log.tree import kept
from domain.log.tree.checkpoint import read
from domain.log.tree.hashing import leaf_hash
from domain.log.tree.note import public_key
from domain.log.tree.proofs import includes
from domain.refusal import Refusal
from runners.cli.main import run
from runners.proof.notary import Notary
from runners.security.vault import Vault
from tests.domain.log.tree.test_note import verified_by_the_specification
from tests.runners.cli.test_log_check import options
from tests.support.stores import WAIT_TIMEOUT_S, Store, done, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

MASTER = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="


@pytest.fixture
def notary(store: Store, monkeypatch: pytest.MonkeyPatch) -> Notary:
    """Of a log with three events."""
    monkeypatch.setenv("COMMISSAIRE_MASTER_KEY", MASTER)
    vault = Vault(b"k" * 32)
    vault.open(store.engine)
    found = Notary(vault)
    found.open(store.engine)
    with store.writer() as writer:
        for name in ("web", "db"):
            done(writer, fleet_commands.create_cluster, name, "default", "")
        done(writer, fleet_commands.remove_cluster, "web")
    return found


def key_of(store: Store, notary: Notary) -> str:
    """The public half."""
    with store.engine.snapshot() as tx:
        return str(notary.key(tx).public)


def last_event(store: Store) -> object:
    """Of the log."""
    with store.engine.snapshot() as tx:
        return to_event(entries(tx, 0, 1000)[-1].stored)


def test_the_key_is_made_once_and_is_not_in_the_database_as_it_is(
    store: Store, notary: Notary
) -> None:
    before = key_of(store, notary)
    notary.open(store.engine)
    again = Notary(Vault(b"k" * 32))
    again.open(store.engine)
    assert key_of(store, again) == before
    with store.engine.snapshot() as tx:
        seed = notary.key(tx).seed
        rows = tx.execute("SELECT wrapped_key, ciphertext FROM vault").fetchall()
    assert all(seed not in bytes(each) for row in rows for each in row)


def test_a_rotation_is_signed_by_both_keys_and_is_in_the_log(store: Store, notary: Notary) -> None:
    before = key_of(store, notary)
    with store.writer() as writer:
        after = done(writer, notary.rotate)
    assert after == key_of(store, notary) != before
    event = last_event(store)
    assert isinstance(event, KeyRotated)
    assert (event.key_before, event.key) == (before, after)
    found = read(event.checkpoint)
    assert found.checkpoint.next_key == after
    for key in (before, after):
        origin, size, root = verified_by_the_specification(event.checkpoint, key)
        assert size == event.size == len(store.topics()) - 1
        with store.engine.snapshot() as tx:
            assert root == kept.root_at(tx, size)
        assert origin == public_key(key).name


def act(at: str) -> Act:
    """At a time."""
    return Act("runner:notary", "notary", at)


def test_the_log_says_once_a_day_what_its_tree_is(store: Store, notary: Notary) -> None:
    with store.writer() as writer:

        def log_one(at: str) -> bool:
            future = writer.submit(act(at), notary.log_checkpoint)
            return bool(future.result(WAIT_TIMEOUT_S))

        assert not log_one("2026-01-01T00:00:00.000000")  # its first event is younger than a day
        assert log_one("2099-01-01T00:00:00.000000")
        event = last_event(store)
        assert isinstance(event, CheckpointSigned)
        assert event.size == len(store.topics()) - 1
        verified_by_the_specification(event.checkpoint, event.key)
        assert not log_one("2099-01-01T23:00:00.000000")
        assert not log_one("2099-01-03T00:00:00.000000")  # nothing happened but that itself
        done(writer, fleet_commands.create_cluster, "more", "default", "")
        assert log_one("2099-01-03T00:00:00.000000")


def test_a_clock_that_was_ahead_does_not_keep_the_log_from_saying_it(
    store: Store, notary: Notary
) -> None:
    now = recorder.now()
    with store.writer() as writer:

        def is_logged(at: str) -> bool:
            done(writer, fleet_commands.create_cluster, f"c{len(store.topics())}", "default", "")
            return bool(writer.submit(act(at), notary.log_checkpoint).result(WAIT_TIMEOUT_S))

        assert is_logged("2099-01-01T00:00:00.000000")
        assert is_logged(now)  # the log has times of today
        assert not is_logged(now)
        assert not is_logged("1970-01-01T00:00:00.000000")  # a clock that nobody has set


def test_without_a_whole_tree_nothing_is_signed(store: Store, notary: Notary) -> None:
    with store.engine.append(10) as appending:
        appending.tx.execute("UPDATE log_frontier SET position = position - 1")
        appending.commit()
    with store.engine.snapshot() as tx, pytest.raises(Refusal, match="being made"):
        notary.sign(tx)
    with store.engine.snapshot() as tx, pytest.raises(Refusal, match="no key"):
        Notary(Vault(b"k" * 32)).key(_Without(tx))  # type: ignore[arg-type]


class _Without:
    """A transaction in which the vault is empty."""

    def __init__(self, tx: object) -> None:
        self.tx = tx

    def execute(self, sql: str, params: object = ()) -> object:
        """Nothing is found."""
        return self.tx.execute("SELECT 1 WHERE 1 = 0")  # type: ignore[attr-defined]


def said(store: Store, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints; it must succeed."""
    assert run(["log", *words, *options(store)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_commands_say_and_prove_the_same(
    store: Store, notary: Notary, capsys: pytest.CaptureFixture[str]
) -> None:
    key = said(store, capsys, "key").strip()
    assert key == key_of(store, notary)
    note = said(store, capsys, "checkpoint")
    _, size, root = verified_by_the_specification(note, key)
    assert size == len(store.topics())
    proof = json.loads(said(store, capsys, "prove", "2"))
    path = [b64decode(each) for each in proof["hashes"]]
    assert includes(leaf_hash(proof["row"].encode()), proof["leaf"], size, path, root)
    proof = json.loads(said(store, capsys, "prove", "--from", "1", "--to", "2"))
    assert (proof["older_size"], proof["size"]) == (1, 2)
    rotated = said(store, capsys, "key", "--rotate").strip()
    assert said(store, capsys, "key").strip() == rotated != key
    assert "log.key_rotated" in store.topics()
    verified_by_the_specification(said(store, capsys, "checkpoint"), rotated)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["prove"], 2, "either a position, or --from"),
        (["prove", "1", "--from", "1"], 2, "either a position, or --from"),
        (["prove", "99"], 1, "no position 99"),
        (["prove", "--from", "99"], 1, "from must not be more"),
    ],
)
def test_what_cannot_be_proved_is_said(
    store: Store, notary: Notary, capsys: pytest.CaptureFixture[str],
    words: list[str], status: int, sentence: str,
) -> None:  # fmt: skip
    assert run(["log", *words, *options(store)]) == status
    assert sentence in capsys.readouterr().err


def test_without_the_right_master_key_nothing_is_signed(
    store: Store, notary: Notary, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COMMISSAIRE_MASTER_KEY", f"b{MASTER[1:]}")
    assert run(["log", "checkpoint", *options(store)]) == 1
    assert "does not open log/key" in capsys.readouterr().err
    monkeypatch.delenv("COMMISSAIRE_MASTER_KEY")
    monkeypatch.chdir(tmp_path)
    assert run(["log", "key", *options(store)]) == 1
    assert "there is no master key" in capsys.readouterr().err
