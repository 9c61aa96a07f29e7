"""Times as people say them, to `commissaire history` and `replay`; and tables in a pipe."""

from datetime import UTC, datetime

import pytest

from runners.cli.main import run
from runners.cli.output import show_table
from runners.cli.times import said_position, said_time
from tests.support.stores import Store, sqlite_store

__all__ = ["sqlite_store"]

NOW = datetime(2026, 11, 26, 7, 19, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("-2h", "2026-11-26T05:19:31.000000"),
        ("-3d", "2026-11-23T07:19:31.000000"),
        ("today", "2026-11-26T00:00:00.000000"),
        ("yesterday", "2026-11-25T00:00:00.000000"),
        ("07:00", "2026-11-26T07:00:00.000000"),
        ("23:00", "2026-11-25T23:00:00.000000"),
        ("2026-11-26T01:00:00Z", "2026-11-26T01:00:00Z"),
        ("last week", "last week"),
    ],
)
def test_times_as_people_say_them(text: str, told: str) -> None:
    assert said_time(text, NOW) == told


def test_a_position_is_said_with_an_at() -> None:
    assert said_position("@4711") == 4711
    assert said_position("4711") is None


def test_a_table_in_a_pipe_has_tabs_and_nothing_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table(("name", "why"), [("a" * 300, "b\x1b[2J\tc"), (1, "")])
    assert capsys.readouterr().out == f"name\twhy\n{'a' * 300}\tb [2J c\n1\t\n"


def test_the_help_of_serve_begins_with_what_people_change_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["serve", "--help"]) == 0
    told = capsys.readouterr().out
    first, _, rest = told.partition("Database and log:")
    assert "What people change first:" in first
    order = [first.index(f"  --{name} ") for name in ("data", "database", "host", "port")]
    assert order == sorted(order)
    assert "--tls-client-ca" in rest


@pytest.mark.parametrize(
    "command",
    [
        ("history", "--since", "bogus"),
        ("history", "--until", "bogus"),
        ("log", "export", "--since", "bogus"),
        ("replay", "--at", "bogus"),
    ],
)
def test_what_is_no_time_is_told_the_forms_that_there_are(
    command: tuple[str, ...], sqlite_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--data", str(sqlite_store.path.parent)]) == 2
    told = capsys.readouterr().err
    assert "'bogus' is no time: such as -2h, yesterday, 23:00, 2026-11-26T07:19:31 or @4711" in told


@pytest.mark.parametrize("group", ["user", "token", "log", "projections", ""])
def test_no_description_is_cut_in_a_list_of_commands(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*filter(None, [group]), "--help"]) == 0
    told = capsys.readouterr().out
    assert "Commands:" in told
    assert "..." not in told.partition("Commands:")[2]
