"""The command line: what it prints, where, and its exit status."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import bcrypt
import pytest

from runners.cli.main import run
from runners.settings.kinds import sources
from runners.settings.reading import flag, variable
from runners.settings.settings import Settings

LIMIT_S = 60.0


def commissaire(
    *arguments: str, stdin: bytes = b"", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COMMISSAIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "runners.cli", *arguments],
        input=stdin,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env=inherited | (environ or {}),
    )


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        (["history"], "history [OPTIONS] [SUBJECT]"),
        (["replay"], "replay [OPTIONS] [SUBJECT]"),
        (["projections", "verify"], "projections verify [OPTIONS] [NAME]..."),
    ],
)
def test_help_says_what_may_be_left_out_once(
    command: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    assert f"Usage: commissaire {usage}\n" in capsys.readouterr().out


def test_help_of_serve_tells_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--help"]) == 0
    told = capsys.readouterr().out
    for name in Settings.model_fields:
        allowed = sources(Settings.model_fields[name]).allowed
        assert (variable(name) in told) == ("variable" in allowed)
        assert (f"  {flag(name)} " in told) == ("flag" in allowed)
    assert "[sources.NAME]" in told


@pytest.mark.parametrize(
    ("arguments", "environ", "line"),
    [
        (["serve", "--port", "x"], {}, "port (from --port): must be a whole number, not 'x'"),
        (
            ["serve"],
            {"COMMISSAIRE_SSH_PARALLEL": "0"},
            "ssh_parallel (from COMMISSAIRE_SSH_PARALLEL): must be greater than or equal to 1",
        ),
        (["serve", "--prot", "1"], {}, "No such option: --prot"),
        (["serve", "extra"], {}, "Got unexpected extra argument"),
        (["server"], {}, "No such command 'server'."),
        ([], {}, "Missing command."),
        (["user", "add"], {}, "Missing argument 'NAME'."),
        (["user", "add", "ada", "--users", "none"], {}, "Invalid value: There is no terminal"),
        (
            ["user", "add", "ada", "--role", "root"],
            {},
            "Invalid value: --role is one of viewer, operator, admin.",
        ),
        (
            ["user", "add", "ada", "--cluster-role", "web"],
            {},
            "Invalid value: --cluster-role is CLUSTER=ROLE, with one of viewer, operator, admin.",
        ),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_status_2(
    arguments: list[str], environ: dict[str, str], line: str
) -> None:
    done = commissaire(*arguments, environ=environ)
    assert done.returncode == 2
    assert done.stdout == b""
    (told,) = done.stderr.decode().splitlines()
    assert told.startswith(f"commissaire: {line}")


def test_users_of_a_file_are_added_listed_and_removed(tmp_path: Path) -> None:
    data = ("--users", str(tmp_path / "users.json"))
    added = commissaire(
        "user", "add", "ada", "--role", "viewer", "--password-stdin", *data, stdin=b"p w:d\r\n"
    )
    assert (added.returncode, added.stderr) == (0, b"")
    entry = json.loads((tmp_path / "users.json").read_text())["ada"]
    assert entry["role"] == "viewer"
    assert bcrypt.checkpw(b"p w:d", entry["hash"].encode())
    listed = commissaire("user", "list", "--json", environ={"COMMISSAIRE_USERS": data[1]})
    assert json.loads(listed.stdout) == [{"name": "ada", "role": "viewer", "clusters": {}}]
    table = commissaire("user", "list", "--users", str(tmp_path / "users.json"))
    assert "ada" in table.stdout.decode()
    assert commissaire("user", "remove", "ada", *data).returncode == 0
    assert json.loads((tmp_path / "users.json").read_text()) == {}


def test_another_password_of_a_user_of_a_file_gives_them_no_other_role(tmp_path: Path) -> None:
    file = ("--users", str(tmp_path / "users.json"))
    add = ("user", "add", "ada", "--password-stdin", *file)
    assert commissaire(*add, "--role", "viewer", stdin=b"one").returncode == 0
    again = commissaire(*add, "--replace", stdin=b"two")
    assert (again.returncode, again.stdout) == (0, b"ada may log in as viewer.\n")
    entry = json.loads((tmp_path / "users.json").read_text())["ada"]
    assert entry["role"] == "viewer"
    assert bcrypt.checkpw(b"two", entry["hash"].encode())


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "list"],
        ["user", "add", "ada", "--password-stdin"],
        ["user", "remove", "ada"],
        ["token", "list"],
        ["token", "create", "ci", "--role", "viewer"],
        ["token", "revoke", "ci"],
    ],
    ids=" ".join,
)
def test_in_a_directory_that_is_none_of_a_service_all_of_them_say_so(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "users.json").write_text("{}")  # of an older version, say
    done = commissaire(*arguments, "--data", str(tmp_path), stdin=b"secret")
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"There is no database {tmp_path / 'commissaire.db'}".encode() in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["users.json"]
    (tmp_path / "commissaire.db").touch()
    empty = commissaire(*arguments, "--data", str(tmp_path), stdin=b"secret")
    assert (empty.returncode, empty.stdout) == (2, b"")
    assert b"has no log" in empty.stderr


@pytest.mark.parametrize("what", ["user", "token"])
def test_a_list_of_a_named_file_that_is_not_there_is_a_wrong_use(tmp_path: Path, what: str) -> None:
    file = tmp_path / "files" / "of.json"
    file.parent.mkdir()
    done = commissaire(what, "list", f"--{what}s", str(file), "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"There is no {file}".encode() in done.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "line"),
    [
        (["user", "remove", "bob"], b"", "There is no user 'bob' in "),
        (["user", "add", "a:b", "--password-stdin"], b"x", "A user name is "),
        (["user", "add", "bob", "--password-stdin"], b"", "A password must not be empty."),
        (["user", "add", "bob", "--password-stdin"], b"x" * 73, "A password has at most 72 "),
        (["user", "add", "bob", "--password-stdin"], b"\xff", "The password on standard input"),
        (["user", "add", "bob", "--password-stdin"], b"a\nb\n", "A password must not contain "),
    ],
)
def test_what_fails_is_one_line_on_stderr_and_status_1(
    tmp_path: Path, arguments: list[str], stdin: bytes, line: str
) -> None:
    done = commissaire(*arguments, "--users", str(tmp_path / "users.json"), stdin=stdin)
    assert done.returncode == 1
    (told,) = done.stderr.decode().splitlines()
    assert told.startswith(f"commissaire: {line}")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_a_failure_and_is_not_made(tmp_path: Path) -> None:
    away = tmp_path / "away"
    file = ("--users", str(away / "users.json"))
    done = commissaire("user", "add", "ada", "--password-stdin", *file, stdin=b"x")
    assert done.returncode == 1
    assert done.stderr.decode() == f"commissaire: {away}: No such file or directory\n"
    assert not away.exists()


@pytest.mark.parametrize(("second", "status"), [(b"pw\n", 0), (b"other\n", 1)])
def test_on_a_terminal_the_password_is_asked_for_twice_without_echo(
    tmp_path: Path, second: bytes, status: int
) -> None:
    terminal, inside = os.openpty()
    # getpass asks the terminal that the session has, and setsid gives it one.
    setsid = ["setsid", "--wait", "--ctty", sys.executable, "-m", "runners.cli"]
    child = subprocess.Popen(
        [*setsid, "user", "add", "ada", "--users", str(tmp_path / "users.json")],
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    shown = b""
    until = time.monotonic() + LIMIT_S
    answers = [(b"Password of ada: ", b"pw\n"), (b"Once more: ", second)]
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            # Linux says EIO when the other side has ended.
            break
        if answers and shown.endswith(answers[0][0]):
            os.write(terminal, answers.pop(0)[1])
    os.close(terminal)
    assert child.wait(LIMIT_S) == status
    assert (b"two passwords differ" in shown) == (status == 1)
    assert b"pw" not in shown
    assert (tmp_path / "users.json").exists() == (status == 0)


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("commissaire ")
