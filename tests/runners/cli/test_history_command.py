"""`commissaire history` and `log export`: what they print, on both engines, and how they end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from domain.aggregates.host import Registration
from domain.commands import fleet_commands
from domain.event import Act
from runners.cli.main import run
from tests.support.service import wait_for
from tests.support.stores import Store, done, sqlite_store, store

__all__ = ["sqlite_store", "store"]

LIMIT_S = 60.0


def options(store: Store) -> list[str]:
    """What a command line says of where the store is."""
    if store.engine.name == "sqlite":
        return ["--data", str(store.path.parent)]
    return ["--database", store.url]


def fill(store: Store) -> None:
    """A host that is registered, joins, and fails; by three actors."""

    def act(who: str, what: Any) -> None:
        writer.submit(Act(who, f"of-{who}", "2026-01-02T03:04:05.000006"), what).result(20)

    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
        act("bob", lambda u: u.host("10.0.0.7").register(Registration("root", 22), "SHA256:x"))
        act("bob", lambda u: u.host("10.0.0.7").join_cluster("web"))
        act("runner:x", lambda u: u.host("10.0.0.7").fail("unreachable", "Off\x1b[31m."))


@pytest.fixture
def filled(store: Store) -> Store:
    """On each engine."""
    fill(store)
    return store


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_history_is_a_table_for_people(filled: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", *options(filled)]) == 0
    told = capsys.readouterr().out
    assert "status: - → investigating" in told
    assert "Off [31m." in told  # nothing in it commands the terminal
    (failed,) = (line for line in told.splitlines() if "failed" in line)
    assert "host/10.0.0.7" in failed
    assert "investigating → failed" in failed
    assert "of-runner:x" in failed
    assert run(["history", "host/::ffff:10.0.0.7", "--type", "host.failed", *options(filled)]) == 0
    assert "registered" not in capsys.readouterr().out


def test_a_history_is_lines_of_json_for_programs(
    filled: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["history", "--json", *options(filled)]) == 0
    whole = lines(capsys.readouterr().out)
    assert [record["type"] for record in whole] == filled.topics()
    for arguments, wanted in (
        (["host/10.0.0.7"], [r for r in whole if r["subject"] == "host/10.0.0.7"]),
        (["--actor", "bob"], [r for r in whole if r["actor"] == "bob"]),
        (["--type", "host.failed"], [r for r in whole if r["type"] == "host.failed"]),
        (["--since", whole[2]["time"]], [r for r in whole if r["time"] >= whole[2]["time"]]),
        (["--until", whole[2]["time"]], [r for r in whole if r["time"] <= whole[2]["time"]]),
        (["--until", "2001-01-01"], []),
        (["--since", "-2h", "--until", "now"], whole),
        (["--until", "-2h"], []),
        (["--since", f"@{whole[2]['id']}"], whole[2:]),
        (["--since", "@0", "--until", f"@{whole[2]['id']}"], whole[:3]),
    ):
        assert run(["history", *arguments, "--json", *options(filled)]) == 0
        assert lines(capsys.readouterr().out) == wanted, arguments


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["host/10.9.9.9"], 1, "Nothing was ever heard of host/10.9.9.9."),
        (["10.0.0.7"], 2, "A subject is such as host/10.0.0.7"),
        (["host/0x0a"], 2, "is no host address"),
        (["--type", "host.flown"], 2, "There is no type of event like that"),
        (["--since", "last week"], 2, "is no time: such as"),
        (["--follow", "--until", "2026-01-01"], 2, "--follow goes on for ever"),
    ],
)
def test_what_cannot_be_told_is_one_line_on_stderr(
    sqlite_store: Store,
    arguments: list[str],
    status: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["history", *arguments, *options(sqlite_store)]) == status
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert sentence in line


def test_an_export_is_a_cloud_event_on_each_line_and_goes_on_where_it_ended(
    filled: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["log", "export", *options(filled)]) == 0
    whole = lines(capfd.readouterr().out)
    assert [event["type"] for event in whole] == filled.topics()
    assert {event["specversion"] for event in whole} == {"1.0"}
    for event in whole:
        assert run(["log", "export", "--after", event["id"], *options(filled)]) == 0
        assert lines(capfd.readouterr().out) == [
            e for e in whole if int(e["id"]) > int(event["id"])
        ]


def test_an_export_is_bounded_by_times_and_positions(
    filled: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    def exported(*bounds: str) -> list[str]:
        assert run(["log", "export", *bounds, *options(filled)]) == 0
        return [event["id"] for event in lines(capfd.readouterr().out)]

    whole = exported()
    third = f"@{whole[2]}"
    assert exported("--since", third) == whole[2:]
    assert exported("--until", third) == whole[:3]
    assert exported("--since", third, "--until", third) == whole[2:3]
    assert exported("--since", "-2h", "--until", "now") == whole
    assert exported("--until", "-2h") == []
    assert exported("--since", "today", "--after", whole[-1]) == []
    assert run(["log", "export", "--since", "last week", *options(filled)]) == 2


def test_an_export_behind_the_end_of_the_log_is_refused(
    filled: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a restored backup: nothing to export would look as if nothing were missing."""
    assert run(["log", "export", "--after", "99999", *options(filled)]) == 1
    assert "The log ends at position" in capsys.readouterr().err


def test_no_bar_gets_into_lines_that_go_to_the_same_terminal(sqlite_store: Store) -> None:
    fill(sqlite_store)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "runners.cli", "log", "export", *options(sqlite_store)]
    exporting = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    told = b""
    with suppress(OSError):  # as Linux says that the other side was closed
        while piece := os.read(ours, 65536):
            told += piece
    os.close(ours)
    assert exporting.wait(LIMIT_S) == 0
    assert [event["type"] for event in lines(told.decode())] == sqlite_store.topics()


def test_without_a_standard_output_it_says_so(sqlite_store: Store) -> None:
    command = [sys.executable, "-m", "runners.cli", "log", "export", *options(sqlite_store)]
    closed = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command]
    found = subprocess.run(closed, capture_output=True, timeout=LIMIT_S, check=False)
    assert (found.returncode, found.stderr.decode()) == (
        1,
        "commissaire: there is no standard output\n",
    )


@contextmanager
def commissaire(*arguments: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs, until the end of the block at most."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COMMISSAIRE_")}
    command = [sys.executable, "-m", "runners.cli", *arguments]
    with subprocess.Popen(command, env=inherited, stderr=subprocess.PIPE, **more) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_happens_next_is_followed_until_ctrl_c(sqlite_store: Store, tmp_path: Path) -> None:
    fill(sqlite_store)
    told = tmp_path / "told"
    with (
        told.open("wb") as out,
        commissaire(
            "history", "--follow", "--json", *options(sqlite_store), stdout=out
        ) as following,
    ):
        wait_for(lambda: len(told.read_bytes().splitlines()) >= 4, LIMIT_S)
        with sqlite_store.writer() as writer:
            done(writer, fleet_commands.create_cluster, "later", "default", "")
        wait_for(lambda: b"cluster/later" in told.read_bytes(), LIMIT_S)
        following.send_signal(signal.SIGINT)
        _, error = following.communicate(timeout=LIMIT_S)
    assert following.returncode == 130
    assert b"Traceback" not in error


@pytest.mark.parametrize("command", [["history", "--json"], ["log", "export"], ["history"]])
def test_a_reader_that_has_seen_enough_ends_it_quietly(
    sqlite_store: Store, command: list[str]
) -> None:
    with sqlite_store.writer() as writer:
        for number in range(700):
            done(writer, fleet_commands.create_cluster, f"c{number}", "default", "")
    with commissaire(*command, *options(sqlite_store), stdout=subprocess.PIPE) as telling:
        assert telling.stdout is not None
        telling.stdout.readline()
        telling.stdout.close()
        assert telling.stderr is not None
        assert telling.stderr.read() == b""
        assert telling.wait(LIMIT_S) == 1
