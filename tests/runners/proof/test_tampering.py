"""Whatever an administrator with a shell does to the log is found, and the first position that is
wrong is named: by `log check`, or by `log verify` with a checkpoint that was kept elsewhere."""

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.commands import fleet_commands, webhook_commands
from domain.commands.webhook_commands import WebhookRequest
from domain.log.tree import growth
from projections.beside_the_log import outputs
from projections.webhooks import queries
from runners.cli.log.check import check
from runners.cli.main import run
from runners.proof.notary import Notary
from runners.security.vault import NoSecret, Vault
from tests.domain.log.tree.test_kept import vandalize, without_tree
from tests.domain.log.writing import creating, queue
from tests.runners.cli.test_log_check import options
from tests.runners.proof.test_notary import MASTER, act
from tests.support.stores import WAIT_TIMEOUT_S, Store, done, postgres_store, sqlite_store, store
from tests.support.webhook_receiver import SECRET

__all__ = ["postgres_store", "sqlite_store", "store"]

FIRST, SECOND = 20, 12
"""Events before the log says what its tree is, and after."""
LAST = FIRST + 1 + SECOND
CHANGED = 7
"""A position that is tampered with."""
OTHER_WORDS = {
    "sqlite": "CAST(replace(CAST(state AS TEXT), 'alice', 'mally') AS BLOB)",
    "postgresql": "convert_to(replace(convert_from(state, 'UTF8'), 'alice', 'mally'), 'UTF8')",
}


class Kept(NamedTuple):
    """What somebody else has, and a way to hold a log against it."""

    store: Store
    notary: Notary
    key: str
    directory: Path
    capsys: pytest.CaptureFixture[str]

    def verdict(self, *checkpoints: str, store: Store | None = None) -> tuple[int, str]:
        """What `log verify` says of a new export."""
        rows = self.directory / "rows"
        for each in (rows, self.directory / "cursor"):
            each.unlink(missing_ok=True)
        to = ["--to", str(rows), "--cursor", str(self.directory / "cursor")]
        assert run(["log", "export", "--rows", *to, *options(store or self.store)]) == 0
        files = [f"--checkpoint={self.directory / name}" for name in checkpoints or ("late",)]
        self.capsys.readouterr()
        status = run(["log", "verify", str(rows), *files, "--key", self.key])
        return status, self.capsys.readouterr().out

    def keep(self, name: str) -> None:
        """A checkpoint of now, elsewhere."""
        with self.store.engine.snapshot() as tx:
            (self.directory / name).write_text(self.notary.sign(tx).note)


@pytest.fixture
def kept(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Kept:
    """A log that has said once what its tree is, and two checkpoints that somebody kept."""
    monkeypatch.setenv("COMMISSAIRE_MASTER_KEY", MASTER)
    vault = Vault(b"k" * 32)
    vault.open(store.engine)
    notary = Notary(vault)
    notary.open(store.engine)
    with store.engine.snapshot() as tx:
        key = str(notary.key(tx).public)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = Kept(store, notary, key, elsewhere, capsys)
    with store.writer() as writer:
        for future in queue(writer, [creating(f"c{number}") for number in range(FIRST)]):
            future.result(WAIT_TIMEOUT_S)
        found.keep("early")
        moment = act("2099-01-01T00:00:00.000000")
        assert writer.submit(moment, notary.log_checkpoint).result(WAIT_TIMEOUT_S)
        for future in queue(writer, [creating(f"d{number}") for number in range(SECOND)]):
            future.result(WAIT_TIMEOUT_S)
    found.keep("late")
    assert len(store.topics()) == LAST
    return found


def forged(store: Store, position: int) -> list[str]:
    """Other bytes in one event."""
    words = OTHER_WORDS[store.engine.name]
    return [f"UPDATE stored_events SET state = {words} WHERE position = {position}"]  # noqa: S608 - our own


def swapped(store: Store, position: int) -> list[str]:
    """Two events have changed places."""
    update = "UPDATE stored_events SET {} WHERE position = {}"
    after = position + 1
    return [
        update.format("originator_id = 'x' || originator_id", position),
        update.format(f"originator_id = 'cluster/c{position - 1}'", after),
        update.format(f"originator_id = 'cluster/c{position}'", position),
    ]


def dropped(store: Store, position: int) -> list[str]:
    """An event is gone."""
    return [f"DELETE FROM stored_events WHERE position = {position}"]  # noqa: S608 - our own


def cut_off(store: Store, position: int) -> list[str]:
    """The last is gone, and so is whatever would tell."""
    statements = [
        f"DELETE FROM stored_events WHERE position >= {position}",  # noqa: S608 - our own
        f"UPDATE projection_positions SET position = {position - 1}",  # noqa: S608 - our own
    ]
    if store.engine.name == "sqlite":
        statements.append(f"UPDATE sqlite_sequence SET seq = {position - 1}")  # noqa: S608 - our own
    return statements


def put_in(store: Store, position: int) -> list[str]:
    """An event that never happened, with all that follows one position later."""
    moved = [
        f"UPDATE stored_events SET position = {at + 1} WHERE position = {at}"  # noqa: S608 - our own
        for at in range(LAST, position - 1, -1)
    ]
    if store.engine.name == "postgresql":
        moved.insert(0, "ALTER TABLE stored_events ALTER position SET GENERATED BY DEFAULT")
    insert = """
        INSERT INTO stored_events
            (position, originator_id, originator_version, topic, state, recorded_at)
        SELECT {0}, 'cluster/forged', 1, topic, state, recorded_at FROM stored_events
        WHERE position = {1}
    """
    moved.append(insert.format(position, position - 1))
    if store.engine.name == "postgresql":
        sequence = "pg_get_serial_sequence('stored_events', 'position')"
        moved.append(f"SELECT setval({sequence}, {LAST + 1})")
    if store.engine.name == "sqlite":
        moved.append(f"UPDATE sqlite_sequence SET seq = {LAST + 1}")  # noqa: S608 - our own
    return [*moved, f"UPDATE projection_positions SET position = {LAST + 1}"]  # noqa: S608 - our own


def shifted(store: Store, position: int) -> list[str]:
    """Another time."""
    before = "UPDATE stored_events SET recorded_at = recorded_at || '0' WHERE position = {}"
    return [before.format(position)]


Tamper = Callable[[Store, int], list[str]]
KINDS: tuple[tuple[Tamper, int], ...] = (
    (forged, CHANGED),
    (swapped, CHANGED),
    (dropped, CHANGED),
    (put_in, CHANGED),
    (shifted, CHANGED),
    (cut_off, LAST),
    (forged, 1),
    (forged, LAST),
)


@pytest.mark.parametrize(
    ("tamper", "position"), KINDS, ids=[f"{each.__name__}-{at}" for each, at in KINDS]
)
def test_each_is_found_by_check_and_by_verify(kept: Kept, tamper: Tamper, position: int) -> None:
    assert check(kept.store.engine).wrong == ""
    status, said = kept.verdict()
    assert (status, f"up to its event number {LAST}" in said) == (0, True), said
    vandalize(kept.store, tamper(kept.store, position))
    wrong = check(kept.store.engine).wrong
    assert re.search(rf"\b[Pp]osition {position}\b", wrong), wrong
    status, said = kept.verdict("early", "late")
    assert status == 1
    _must_name(said, position)


def _must_name(said: str, position: int) -> None:
    """Either the very position, or the piece between two checkpoints that it is in."""
    named = re.search(r"(?:Position|What follows position|follows position) (\d+)\b", said)
    piece = re.search(r"from position (\d+) to (\d+)", said)
    if piece:
        assert int(piece[1]) <= position <= int(piece[2]) + 1, said
    else:
        assert named, said
        assert position - 1 <= int(named[1]) <= position, said


@pytest.mark.parametrize("tamper", [forged, swapped, dropped, put_in, shifted])
def test_with_a_tree_that_was_made_to_fit_it_is_found_by_what_the_log_says_of_itself(
    kept: Kept, tamper: Tamper
) -> None:
    vandalize(kept.store, tamper(kept.store, CHANGED))
    without_tree(kept.store)
    growth.grow(kept.store.engine)
    # SQLite has no gaps in its positions: what was dropped is told by that.
    wrong = check(kept.store.engine).wrong
    found = "after the first 0 was altered, and the tree made to fit" in wrong
    assert found or f"Position {CHANGED} is missing" in wrong, wrong
    status, said = kept.verdict("late")
    assert status == 1
    _must_name(said, CHANGED)


def test_with_the_key_of_the_vault_as_well_an_older_checkpoint_finds_it(kept: Kept) -> None:
    """Whoever can sign can make the log say anything of itself; but not what others kept."""
    at = FIRST + 1
    forged_words = [*forged(kept.store, CHANGED), *forged(kept.store, at + 3)]
    vandalize(kept.store, [*forged_words, *cut_off(kept.store, at)[:1]])
    without_tree(kept.store)
    growth.grow(kept.store.engine)
    vandalize(kept.store, cut_off(kept.store, at)[1:])
    with kept.store.writer() as writer:
        moment = act("2099-01-01T00:00:00.000000")
        assert writer.submit(moment, kept.notary.log_checkpoint).result(WAIT_TIMEOUT_S)
    assert check(kept.store.engine).wrong == ""
    status, said = kept.verdict("early")
    assert status == 1
    _must_name(said, CHANGED)


def test_an_older_backup_is_whole_and_an_older_checkpoint_says_what_is_missing(
    sqlite_store: Store, kept_on_sqlite: Kept, tmp_path: Path
) -> None:
    kept = kept_on_sqlite
    backup = tmp_path / "backup"
    assert run(["backup", str(backup), "--data", str(sqlite_store.path.parent)]) == 0
    with sqlite_store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "later", "default", "")
    kept.keep("latest")
    restored = backup / sqlite_store.path.name
    older = Store(f"sqlite:///{restored}", sqlite_store._opened)
    assert check(older.engine).wrong == ""
    assert kept.verdict("late", store=older)[0] == 0
    status, said = kept.verdict("late", "latest", store=older)
    assert status == 1
    assert f"what follows position {LAST} is missing" in said


@pytest.fixture
def kept_on_sqlite(
    sqlite_store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Kept:
    """The same on SQLite."""
    found: Kept = kept.__wrapped__(sqlite_store, tmp_path, capsys, monkeypatch)  # type: ignore[attr-defined]
    return found


def test_another_services_log_is_no_export_of_this_one(kept: Kept, tmp_path: Path) -> None:
    other_file = tmp_path / "other" / "commissaire.db"
    other_file.parent.mkdir()
    other = Store(f"sqlite:///{other_file}", kept.store._opened).create()
    with other.writer() as writer:
        for future in queue(writer, [creating(f"o{number}") for number in range(LAST + 5)]):
            future.result(WAIT_TIMEOUT_S)
    status, said = kept.verdict("early", "late", store=other)
    assert status == 1
    _must_name(said, 1)


def test_destroying_secrets_and_deleting_outputs_breaks_no_proof(kept: Kept) -> None:
    vault = Vault(b"k" * 32)
    vault.open(kept.store.engine)
    wanted = WebhookRequest("https://a.example/", [], [], "text", False, "", SECRET)
    put = partial(webhook_commands.put_webhook, fresh=SECRET, count=queries.count)
    with kept.store.writer() as writer:
        done(writer, put, vault, "chat", wanted)
        kept.keep("with a secret")
        done(writer, webhook_commands.remove_webhook, vault, "chat")
    with kept.store.engine.snapshot() as tx, pytest.raises(NoSecret):
        vault.reveal(tx, "webhook/chat", webhook_commands.READER)
    with kept.store.engine.append(10) as appending:
        tx = appending.tx
        outputs.add(tx, "upgrade-1", "10.0.0.7", 0, b"what the host said", "2017-01-01T00:00:00")
        assert outputs.output(tx, "upgrade-1", "10.0.0.7", 0)
        outputs.purge(tx, "2018-01-01T00:00:00")
        assert not outputs.output(tx, "upgrade-1", "10.0.0.7", 0)
        tx.execute("DELETE FROM vault WHERE subject LIKE 'host/%'")
        tx.execute("DELETE FROM account_hashes")
        appending.commit()
    assert check(kept.store.engine).wrong == ""
    assert kept.verdict("early", "late", "with a secret")[0] == 0


def test_keys_that_were_rotated_are_followed_both_ways(kept: Kept) -> None:
    with kept.store.writer() as writer:
        after = done(writer, kept.notary.rotate)
        done(writer, fleet_commands.create_cluster, "more", "default", "")
    kept.keep("newest")
    for key in (kept.key, after):
        status, said = kept._replace(key=key).verdict("early", "late", "newest")
        assert status == 0, said
    assert check(kept.store.engine).checkpoints == 2
    stranger = kept.key[:-10] + after[-10:]
    assert run(["log", "verify", "x", "--checkpoint", "x", "--key", stranger]) == 2
    other = kept._replace(key="commissaire/0+" + after.partition("+")[2])
    assert run(["log", "verify", "x", "--checkpoint", "x", "--key", other.key]) == 2


def test_a_checkpoint_that_nobody_trusted_signed_is_no_proof(kept: Kept, tmp_path: Path) -> None:
    from tests.domain.log.tree.test_note import KEY

    status, said = kept._replace(key=str(KEY.public)).verdict("late")
    assert (status, "/late: none of the trusted keys signed it" in said) == (1, True)
    text = (kept.directory / "late").read_text()
    (kept.directory / "late").write_text(text.replace(f"\n{LAST}\n", f"\n{LAST - 1}\n"))
    status, said = kept.verdict("late")
    assert (status, "none of the trusted keys signed it" in said) == (1, True)
    (kept.directory / "late").write_text("no note")
    assert kept.verdict("late") == (
        1,
        f"{kept.directory / 'late'} is no checkpoint: it has no signature.\n",
    )


def test_an_export_that_is_cut_off_is_told(kept: Kept) -> None:
    kept.verdict()
    rows = kept.directory / "rows"
    early = f"--checkpoint={kept.directory / 'early'}"
    words = ["log", "verify", str(rows), early, "--key", kept.key]
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-5])
    assert run(words) == 1
    assert "is cut off" in kept.capsys.readouterr().out
    half = whole.splitlines(keepends=True)
    (kept.directory / "more").write_bytes(b"".join(half[5:]))
    rows.write_bytes(b"".join(half[:5]))
    words.insert(3, str(kept.directory / "more"))
    assert run(words) == 0
    shutil.copyfile(kept.directory / "more", rows)
    assert run(words) == 1
