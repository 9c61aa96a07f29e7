"""The mark beside the database file says how far the log had come, and a log that is less than it,
or another one, is told."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.commands import fleet_commands
from domain.log.tree.checkpoint import Checkpoint, read
from domain.refusal import Refusal
from runners.proof.mark import LINE_BYTES, NOTE_BYTES, Mark
from runners.proof.misfit import Misfit
from runners.proof.notary import Notary
from runners.security.vault import Vault
from tests.domain.log.tree.test_kept import vandalize, without_tree
from tests.domain.log.writing import creating, queue
from tests.runners.proof.test_tampering import cut_off
from tests.support.stores import WAIT_TIMEOUT_S, Store, done, sqlite_store

__all__ = ["sqlite_store"]

EVENTS = 20


class Marked:
    """A log with its mark."""

    def __init__(self, store: Store) -> None:
        self.store = store
        vault = Vault(b"k" * 32)
        vault.open(store.engine)
        self.notary = Notary(vault)
        self.notary.open(store.engine)
        self.file = store.path.parent / "log.mark"
        self.mark = Mark(self.file, store.engine, self.notary)
        self.lines: list[str] = []
        assert self.misfit() is None

    def misfit(self) -> Misfit | None:
        """As the next start finds it."""
        with self.store.engine.snapshot() as tx:
            return self.mark.misfit(tx, lambda name, **told: self.lines.append(name))

    def add(self, names: str, count: int = EVENTS) -> None:
        """So many events, with a mark after each commit."""
        with self.store.writer() as writer:
            writer.on_tree = self.mark.note
            for future in queue(writer, [creating(f"{names}{n}") for n in range(count)]):
                future.result(WAIT_TIMEOUT_S)

    def command(self, command: Callable[..., Any], *arguments: Any) -> Any:
        """One command, with its mark."""
        with self.store.writer() as writer:
            writer.on_tree = self.mark.note
            return done(writer, command, *arguments)


@pytest.fixture
def marked(sqlite_store: Store) -> Iterator[Marked]:
    """With some events."""
    found = Marked(sqlite_store)
    found.add("c")
    yield found
    found.mark._close()


def test_each_commit_is_marked_before_its_answer(marked: Marked) -> None:
    for number in range(3):
        marked.command(fleet_commands.create_cluster, f"d{number}", "default", "")
        size, _, position, *_ = marked.file.read_bytes()[NOTE_BYTES:].split(b" ")
        assert int(size) == len(marked.store.topics()) == int(position)
    assert marked.file.stat().st_size == NOTE_BYTES + LINE_BYTES
    assert marked.file.stat().st_mode & 0o777 == 0o600
    assert marked.misfit() is None


def test_what_a_command_beside_the_service_appends_is_marked_soon(marked: Marked) -> None:
    with marked.store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "beside", "default", "")
        done(writer, marked.notary.rotate)
    assert marked.misfit() is None  # a mark may be older than its log, and than its key
    marked.mark.look()
    assert note_of(marked.file.read_bytes()).size == EVENTS + 2
    marked.file.unlink()
    marked.mark.look()
    assert marked.misfit() is None
    assert marked.file.exists()


def note_of(content: bytes) -> Checkpoint:
    """The checkpoint that a mark begins with."""
    return read(content[:NOTE_BYTES].decode().rstrip(" ")).checkpoint


def copy_of(store: Store, to: Path) -> Path:
    """The file as it is now."""
    with sqlite3.connect(store.path) as live, sqlite3.connect(to) as copy:
        live.backup(copy)
    live.close()
    copy.close()
    return to


def test_an_older_file_is_told_also_when_it_has_grown_as_long(
    marked: Marked, tmp_path: Path
) -> None:
    copy = copy_of(marked.store, tmp_path / "older.db")
    marked.add("d", 5)
    text = marked.file.read_bytes()
    older = Store(f"sqlite:///{copy}", marked.store._opened)
    with older.engine.snapshot() as tx:
        found = marked.mark.misfit(tx, lambda name, **told: None)
    assert found is not None
    assert (found.size, found.marked.size) == (EVENTS, EVENTS + 5)
    assert found.why == f"it has {EVENTS} events, and had {EVENTS + 5}"
    assert found.name.startswith(f"{EVENTS}-")
    with older.writer() as writer:
        for future in queue(writer, [creating(f"e{n}") for n in range(7)]):
            future.result(WAIT_TIMEOUT_S)
    assert marked.file.read_bytes() == text
    with older.engine.snapshot() as tx:
        found = marked.mark.misfit(tx, lambda name, **told: None)
    assert found is not None
    assert f"its first {EVENTS + 5} events are not those that it had" in found.why


@pytest.mark.parametrize("rewritten", [False, True], ids=["rows alone", "and their tree"])
def test_a_tail_that_was_cut_off_is_told(marked: Marked, rewritten: bool) -> None:
    vandalize(marked.store, cut_off(marked.store, EVENTS)[:1])
    if rewritten:
        without_tree(marked.store)
    found = marked.misfit()
    assert found is not None
    assert found.why == f"it has {EVENTS - 1} events, and had {EVENTS}"


def test_another_services_log_is_told(marked: Marked, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    url = f"sqlite:///{tmp_path / 'other' / 'commissaire.db'}"
    other = Marked(Store(url, marked.store._opened).create())
    other.add("o", EVENTS + 3)
    other.mark._close()
    shutil.copyfile(marked.file, other.file)
    found = other.misfit()
    assert found is not None
    assert "signed by no key of it" in found.why


def test_a_mark_that_was_edited_is_told_and_one_that_is_torn_says_nothing(marked: Marked) -> None:
    content = marked.file.read_bytes()
    size = note_of(content).size
    marked.file.write_bytes(content.replace(b"\n%d\n" % size, b"\n%d\n" % (size + 1)))
    found = marked.misfit()
    assert found is not None
    assert "signed by no key of it" in found.why
    assert marked.lines == []
    # What the line after it said is as good as not there: the checkpoint is believed.
    line = content[NOTE_BYTES:].replace(b" ", b"  ", 1)
    marked.file.write_bytes(content[:NOTE_BYTES] + line)
    assert marked.misfit() is None
    marked.file.write_bytes(b"\0" * NOTE_BYTES)
    assert marked.misfit() is None
    assert marked.lines == ["log.mark_unreadable"]
    marked.file.unlink()
    assert marked.misfit() is None


def test_a_log_that_has_no_tree_yet_is_held_against_its_mark_as_well(marked: Marked) -> None:
    without_tree(marked.store)
    assert marked.misfit() is None
    with marked.store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "more", "default", "")
    assert marked.misfit() is None


def test_a_mark_that_cannot_be_written_holds_up_no_change(marked: Marked) -> None:
    marked.mark._close()
    marked.file.unlink()
    marked.file.mkdir()
    marked.command(fleet_commands.create_cluster, "more", "default", "")
    assert "Is a directory" in marked.mark.unwritten
    marked.file.rmdir()
    marked.command(fleet_commands.create_cluster, "again", "default", "")
    assert marked.mark.unwritten == ""
    assert marked.misfit() is None


@pytest.mark.parametrize("what", ["fifo", "link", "link to nothing"])
def test_what_is_no_file_is_neither_waited_for_nor_followed(
    marked: Marked, tmp_path: Path, what: str
) -> None:
    target = tmp_path / "target"
    marked.mark._close()
    marked.file.unlink()
    if what == "fifo":
        os.mkfifo(marked.file)
    else:
        marked.file.symlink_to(target)
    if what == "link":
        target.write_bytes(b"somebody's")
    started = threading.Thread(target=marked.misfit, daemon=True)
    started.start()
    started.join(WAIT_TIMEOUT_S)
    assert not started.is_alive()
    assert marked.lines == ["log.mark_unreadable"]
    marked.command(fleet_commands.create_cluster, "more", "default", "")
    said = "log.mark is no file" if what == "fifo" else "log.mark is a link"
    assert said in marked.mark.unwritten
    marked.mark.look()
    assert said in marked.mark.unwritten
    assert target.exists() == (what == "link")
    assert what != "link" or target.read_bytes() == b"somebody's"
    marked.file.unlink()
    marked.mark.look()
    assert (marked.mark.unwritten, marked.misfit()) == ("", None)


def test_no_change_waits_for_the_disk_of_the_mark(
    marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs, goes_on = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        syncs.set()
        goes_on.wait(WAIT_TIMEOUT_S)

    monkeypatch.setattr("runners.proof.mark.os.fsync", slow)
    look = threading.Thread(target=marked.mark.look, daemon=True)
    look.start()
    assert syncs.wait(WAIT_TIMEOUT_S)
    marked.command(fleet_commands.create_cluster, "meanwhile", "default", "")
    assert look.is_alive()
    goes_on.set()
    look.join(WAIT_TIMEOUT_S)
    assert not look.is_alive()


@pytest.mark.parametrize("what", ["frontier", "leaf", "no leaf"])
def test_a_log_that_is_whole_starts_whatever_became_of_its_tree(marked: Marked, what: str) -> None:
    if what != "frontier":  # beside the service: the mark is of an older moment
        with marked.store.writer() as writer:
            done(writer, fleet_commands.create_cluster, "beside", "default", "")
    statement = {
        "frontier": "UPDATE log_frontier SET hashes = zeroblob(length(hashes))",
        "leaf": "UPDATE log_leaves SET hash = zeroblob(32) WHERE leaf = 3",
        "no leaf": "DELETE FROM log_leaves WHERE leaf = 3",
    }[what]
    vandalize(marked.store, [statement])
    assert marked.misfit() is None
    assert marked.lines == ["log.tree_altered"]


def test_a_mark_is_held_against_a_log_that_has_no_key_yet(marked: Marked) -> None:
    vandalize(marked.store, ["DELETE FROM vault"])
    marked.mark._close()
    marked.mark = Mark(marked.file, marked.store.engine, marked.notary)
    found = marked.misfit()
    assert found is not None
    assert "signed by no key of it" in found.why


def test_a_key_in_the_vault_that_somebody_changed_ends_nothing(marked: Marked) -> None:
    marked.add("a")
    marked.mark.look()
    with sqlite3.connect(marked.store.path) as plain:
        plain.execute("DELETE FROM vault WHERE subject = 'log/key'")
        sealed = plain.execute("SELECT * FROM vault LIMIT 1").fetchone()
        columns = [row[1] for row in plain.execute("PRAGMA table_info(vault)")]
        assert sealed is not None, "the vault has a secret of another subject"
        values = ["log/key" if c == "subject" else v for c, v in zip(columns, sealed, strict=True)]
        marks = ", ".join("?" * len(values))
        plain.execute(f"INSERT INTO vault VALUES ({marks})", values)  # noqa: S608 - our own
    plain.close()
    marked.add("b")
    marked.mark.look()
    with marked.store.engine.snapshot() as tx, pytest.raises(Refusal):
        marked.notary.key(tx)
