"""`commissaire log export` to a file that is rotated, and on from a cursor: each event once."""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from domain.commands import fleet_commands
from domain.log.recorder import now
from domain.log.writer import Writer
from runners.cli.log.shipping import Shipped, whole_lines
from runners.cli.main import run
from tests.runners.cli.test_history_command import LIMIT_S, commissaire, options
from tests.support.service import wait_for
from tests.support.stores import Store, done, sqlite_store, store

__all__ = ["sqlite_store", "store"]

ROUNDS = 6
EVENTS = 40


def add(writer: Writer, count: int, name: str) -> None:
    for number in range(count):
        done(writer, fleet_commands.create_cluster, f"{name}-{number}", "default", "")


def ids(*files: Path) -> list[int]:
    return [int(json.loads(line)["id"]) for f in files for line in f.read_bytes().splitlines()]


def positions(store: Store) -> list[int]:
    with store.engine.snapshot() as tx:
        return [
            p for (p,) in tx.execute("SELECT position FROM stored_events ORDER BY 1").fetchall()
        ]


def shipped(store: Store, directory: Path) -> list[str]:
    """What a shipper's unit starts."""
    to, cursor = str(directory / "log"), str(directory / "cursor")
    return ["log", "export", "--to", to, "--cursor", cursor, *options(store)]


def test_each_event_is_in_the_files_once_whenever_it_is_killed_and_the_file_rotated(
    store: Store, tmp_path: Path
) -> None:
    chance = random.Random(7)
    file, old = tmp_path / "log", []
    with store.writer() as writer:
        for number in range(ROUNDS):
            with commissaire(*shipped(store, tmp_path), "--follow") as following:
                add(writer, EVENTS, f"c{number}")
                wait_for(lambda: file.exists() and file.stat().st_size > 0, LIMIT_S)
                if number % 2:  # beneath a process that runs
                    old.append(file.rename(tmp_path / f"log.{number}"))
                add(writer, EVENTS, f"d{number}")
                time.sleep(chance.uniform(0, 0.3))
                following.send_signal(signal.SIGKILL)
                following.wait(LIMIT_S)
            if number % 3 == 2 and file.exists():  # while none runs
                old.append(file.rename(tmp_path / f"log.{number}-down"))
    assert run(shipped(store, tmp_path)) == 0
    assert ids(*old, file) == positions(store)


def test_half_a_line_is_written_anew(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "log"
    with store.writer() as writer:
        add(writer, 3, "a")
    assert run(shipped(store, tmp_path)) == 0
    whole = file.read_bytes()
    for cut in (1, 30, len(whole.splitlines()[-1]) + 2, len(whole) - 1):
        file.write_bytes(whole[:-cut])
        (tmp_path / "cursor").write_bytes(b"0 1")  # as if killed before it was written
        assert run(shipped(store, tmp_path)) == 0
        assert file.read_bytes() == whole


def test_a_file_that_was_emptied_in_its_place_goes_on(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        add(writer, 3, "a")
        assert run(shipped(store, tmp_path)) == 0
        (tmp_path / "log").write_bytes(b"")
        add(writer, 2, "b")
    assert run(shipped(store, tmp_path)) == 0
    assert ids(tmp_path / "log") == positions(store)[3:]


@pytest.mark.parametrize("text", ["no newline", "a line\n", '{"id": "x"}\n', "[]\n"])
def test_a_file_of_something_else_is_left_alone(
    sqlite_store: Store, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text(text)
    assert run(shipped(sqlite_store, tmp_path)) == 1
    assert "has other lines than those of an export" in capsys.readouterr().err
    assert (tmp_path / "log").read_text() == text


@pytest.mark.parametrize("first", [[], ["--rows"]])
def test_events_and_rows_come_into_no_file_together(
    sqlite_store: Store, tmp_path: Path, first: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command, other = shipped(sqlite_store, tmp_path), [] if first else ["--rows"]
    file = tmp_path / "log"
    with sqlite_store.writer() as writer:
        add(writer, 2, "a")
        assert run([*command, *first]) == 0
        add(writer, 1, "b")
    before = file.read_bytes()
    assert run([*command, *other]) == 1
    assert "is of an export in the other form" in capsys.readouterr().err
    assert file.read_bytes() == before
    file.rename(tmp_path / "log.1")
    assert run([*command, *other]) == 1  # its cursor is of the same export
    assert run([*command, *first]) == 0
    assert len(file.read_bytes().splitlines()) == 1


def test_what_cannot_go_on_is_refused(
    sqlite_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cursor = tmp_path / "cursor"
    for said, sentence in (
        ("what", "is no cursor of an export"),
        ("99 1", "The log ends at position 0, before 99"),
    ):
        cursor.write_text(said)
        assert run(shipped(sqlite_store, tmp_path)) == 1
        assert sentence in capsys.readouterr().err
    both = str(tmp_path / "both")
    assert run(["log", "export", "--to", both, "--cursor", both, *options(sqlite_store)]) == 2
    assert not Path(both).exists()
    cursor.unlink()
    for other in (Path("/dev/full"), tmp_path):
        to = ["--to", str(other), "--cursor", str(cursor)]
        assert run(["log", "export", *to, *options(sqlite_store)]) == 1
        assert "is no file that lines can be appended to" in capsys.readouterr().err
    assert not cursor.exists()
    assert run(["log", "export", "--to", "x", *options(sqlite_store)]) == 2
    assert run(["log", "export", "--follow", "--until", "now", *options(sqlite_store)]) == 2
    assert run(shipped(sqlite_store, tmp_path / "nowhere")) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_cursor_is_one_export_s_at_a_time(
    sqlite_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite_store.writer() as writer:
        add(writer, 1, "a")
    with commissaire(*shipped(sqlite_store, tmp_path), "--follow") as following:
        wait_for(lambda: (tmp_path / "log").exists() and ids(tmp_path / "log"), LIMIT_S)
        assert run(shipped(sqlite_store, tmp_path)) == 1
        assert "Another export has the cursor" in capsys.readouterr().err
        following.send_signal(signal.SIGINT)
        assert following.wait(LIMIT_S) == 130


def test_standard_output_goes_on_from_a_cursor(
    store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["log", "export", "--cursor", str(tmp_path / "cursor"), *options(store)]
    told: list[int] = []
    with store.writer() as writer:
        for name in "ab":
            add(writer, 3, name)
            assert run(command) == 0
            told += [int(json.loads(line)["id"]) for line in capfd.readouterr().out.splitlines()]
    assert told == positions(store)


def test_the_last_whole_line_is_found_however_long_it_is(tmp_path: Path) -> None:
    file = tmp_path / "log"
    long = json.dumps({"id": "7", "data": "x" * 300_000}).encode()
    file.write_bytes(b'{"id": "6"}\n' + long + b"\n" + long[:-1])
    with file.open("rb") as opened:
        assert whole_lines(opened, file) == (len(long) + 13, 7, False)


def test_what_is_not_wanted_yet_is_written_by_a_later_run(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        add(writer, 3, "a")
        between = now()
        time.sleep(0.001)
        add(writer, 2, "b")
    assert run([*shipped(store, tmp_path), "--until", f"{between}Z"]) == 0
    assert ids(tmp_path / "log") == positions(store)[:3]
    assert run([*shipped(store, tmp_path), "--until", "now"]) == 0
    assert ids(tmp_path / "log") == positions(store)


def test_a_file_that_is_rotated_while_an_export_starts_loses_nothing(
    store: Store, tmp_path: Path
) -> None:
    file, old = tmp_path / "log", tmp_path / "log.1"
    with store.writer() as writer:
        add(writer, 3, "a")
    assert run(shipped(store, tmp_path)) == 0
    (tmp_path / "gone").symlink_to("nowhere")
    with Shipped(file, tmp_path / "cursor") as starting:
        file.rename(old)
        file.touch()
        assert starting.resume() == positions(store)[-1]
    assert ids(old) == positions(store)
    assert run(shipped(store, tmp_path)) == 0
    assert file.read_bytes() == b""
