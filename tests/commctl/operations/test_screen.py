"""What is drawn of an operation has room in the terminal, whatever hosts say and however many."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from commctl.show.output import Output
from commctl.show.text import folded, width
from commctl.watch.progress import Progress
from commctl.watch.screen import Screen

REASON = "“dnf -y --refresh upgrade” ended with exit status 1: " + "the transaction failed " * 9
NOW = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"


def progress(running: int, ended: int, reason: str = REASON) -> Progress:
    """Of an upgrade of so many hosts."""
    hosts: list[Any] = [
        {
            "address": f"a-host-{number}.of-a.company.example",
            "outcome": "in_process" if number < running else "waiting",
            "step": "upgrade",
            "reason": reason if number % 2 else "",
            "started_at": NOW,
            "finished_at": None,
        }
        for number in range(running + ended)
    ]
    operation = {
        "kind": "upgrade", "status": "paused", "cancelling": False, "reason": "",
        "started_at": NOW, "options": {"max_failures": "50%"},
    }  # fmt: skip
    made = Progress(cast("Any", operation), hosts)
    for host in hosts[running:]:
        data = {"address": host["address"], "reason": reason}
        made.apply(cast("Any", {"type": "operation.host_failed", "time": NOW, "data": data}))
    return made


@pytest.mark.parametrize("columns", [30, 80, 120, 200])
@pytest.mark.parametrize("rows", [5, 12, 24, 60])
def test_no_line_is_too_wide_and_none_leaves_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, rows: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(rows))
    for running, ended in ((1, 0), (0, 5), (3, 5), (500, 5)):
        screen = Screen(Output("table", no_color=True), progress(running, ended))
        screen.message = "http://127.0.0.1:1 does not answer for 20 s; asked again"
        screen.draw()
        lines = capsys.readouterr().out.split("\r\n")[:-1]
        assert len(lines) < rows
        if columns > 40:  # a name of 30 columns has to stay whole
            assert max(map(width, lines)) <= columns, lines
        told = "\n".join(lines)
        assert f"{ended}/{running + ended}" in told
        if rows >= 24 and columns > 40:
            assert "last ended" in told or not ended
            assert "more" in told or running < 500
            assert "asked again" in told


def test_a_command_to_type_stays_on_a_line() -> None:
    text = "failed 2 min ago: sudo asks ops for a password  → commctl host check 10.0.0.7"
    for columns in range(36, 80):
        assert folded(text, columns)[-1].endswith("→ commctl host check 10.0.0.7")
    assert all(len(line) <= 20 for line in folded(text, 20))


@pytest.mark.parametrize("text", [REASON, "漢字" * 40, "a " + "x" * 90 + " b", "one  two   three"])
@pytest.mark.parametrize("columns", [2, 7, 24, 40])
def test_what_is_folded_fits_and_nothing_of_it_is_lost(text: str, columns: int) -> None:
    lines = folded(text, columns)
    assert max(map(width, lines)) <= columns
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_word_that_is_too_long_begins_a_line() -> None:
    assert folded("it is " + "x" * 12, 10) == ["it is", "x" * 10, "xx"]


def test_what_is_said_and_what_is_drawn_below_it_come_as_one_writing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    written: list[str] = []
    monkeypatch.setattr("sys.stdout.write", written.append)
    screen = Screen(Output("table", no_color=True), progress(2, 0))
    screen.draw()
    screen.say(["10.0.0.7 says:", "  Upgrading:"])
    _, said = written
    assert said.index("\x1b[J") < said.index("  Upgrading:") < said.index("q leave")
