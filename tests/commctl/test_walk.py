"""Everything that can be looked at, at several widths, and in chains of a shell.

One service for all of these tests: two hosts of the fleet, one of which fails to be upgraded, one
that is not there, and names and notes that are long or wide.
"""

import io
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from commctl.main import run
from commctl.show.text import width
from tests.commctl.conftest import QUICK
from tests.commctl.in_process import Here
from tests.commctl.operator import Operator
from tests.commctl.terminal import Terminal
from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.fleet.keys import new_key
from tests.support.service import Service

LIMIT_S = 120
NOTE = "漢字 of a note that is long: " + "because of this and that " * 6 + "too"
COMMANDS = (
    "status", "status FAILED", "status CLUSTER", "host list", "host show FAILED AWAY", "host why",
    "host history FAILED", "host hostkey show FAILED", "cluster list", "cluster show CLUSTER",
    "cluster history CLUSTER", "op list", "op show CLUSTER", "op failed CLUSTER", "history",
    "history OPERATION", "diff -1h", "diff -1h CLUSTER", "network list", "network show default",
    "container-manager list", "user list", "token list", "whoami", "profile list", "profile show",
    "version", "upgrade CLUSTER --plan", "host list --at -1h", "op list -o wide --no-color",
)  # fmt: skip
AWAY = "a-host-that-is-away.of-a-company.example"
SGR = re.compile(r"\x1b\[\d*m")
SHELLS = {
    "bash": ("--norc", "source <(commctl completion bash)"),
    "zsh": ("-f", "autoload -U compinit; compinit -u; source <(commctl completion zsh)"),
    "fish": ("--no-config", "commctl completion fish | source"),
}


class Screen(io.StringIO):
    """Standard output, or standard error, that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """As a terminal does."""
        return True


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    """A service with what there is to be seen."""
    directory = tmp_path_factory.mktemp("walk")
    with Service(directory / "service", None, *QUICK) as service, Fleet(directory / "f") as fleet:
        rolled = Rolled(service, fleet.add_many(["fedora", "debian"]))
        body = {"ssh_priv_key": b64encode(new_key().private).decode(), "cluster": rolled.cluster}
        note = {b"Commissaire-Note": NOTE.encode()}
        service.client.put(f"/host/{AWAY}", json=body, headers=note).raise_for_status()
        service.wait_for_status(AWAY, "failed")
        labels = {"role": "database-of-the-first-floor", "rack": "7"}
        service.client.put(f"/host/{rolled.hosts[0].address}/labels", json=labels)
        rolled.hosts[0].set("package_status", 1)
        rolled.begin("upgrade", max_failures=2, max_parallel=2)
        assert rolled.over()["status"] in ("partial", "failed")
        yield rolled


def words(shared: Rolled, command: str) -> list[str]:
    """With the names that there are."""
    names = {
        "FAILED": shared.hosts[0].address,
        "AWAY": AWAY,
        "CLUSTER": shared.cluster,
        "OPERATION": f"operation/{shared.name[:13]}",
    }
    return [names.get(word, word) for word in command.split()]


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_every_line_fits_the_terminal(
    shared: Rolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COMMCTL_DATA", str(shared.service.data))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("PAGER", raising=False)
    wide: list[str] = []
    for command in COMMANDS:
        out, said = Screen(), Screen()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", said)
        status = run(words(shared, command))

        assert status == 0, (command, said.getvalue())
        if "-o wide" not in command:
            lines = SGR.sub("", out.getvalue() + said.getvalue()).splitlines()
            wide += [f"{command}: {line}" for line in lines if width(line) > columns]
    assert not wide, "\n".join(wide)


def test_what_happens_next_is_on_the_terminal_as_it_happens(shared: Rolled, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "home", shared.service, PAGER="cat")
    command = ("history", "--follow", "--type", "cluster.created")
    with operator.terminal(*command, columns=80) as terminal:
        number = 0

        def seen(screen: str) -> bool:
            """What happens before the command listens is not told."""
            nonlocal number
            number += 1
            shared.service.client.put(f"/cluster/next-{number}")
            return "next-" in screen

        terminal.see(seen)
        shared.service.client.put("/cluster/the-one-after-that-with-a-longer-name")
        screen = terminal.see("name: the-one-after-that-with-a-longer-name")
        assert "cluster/the-one-after-that-with-a-longer-name  cluster.created\n" in screen
        terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.screen.endswith("\ncommctl: interrupted")


def test_names_feed_the_next_command(shared: Rolled, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "home", shared.service)
    operator.program()
    failed, name = shared.hosts[0].address, shared.name
    for chain, printed in (
        (f"commctl op failed {name} -o name | xargs commctl host show -o name", f"{failed}\n"),
        (f"commctl op failed {shared.cluster} -o name | xargs commctl host label -o name",
         f"{failed}\n"),
        ("commctl op list -o name | xargs -n 1 commctl op show -o name", f"{name}\n"),
        ("commctl host list rack=7 -o name | xargs -n 1 commctl status -o name", f"{failed}\n"),
        (f"commctl host list rack=7 -o name | xargs -I A commctl op output {name} A | tail -n 1",
         None),
        ("commctl host list status=disassociated -o name | xargs -r commctl host check", ""),
        ("commctl history -o name | head -n 1 | wc -l", "1\n"),
    ):  # fmt: skip
        done = subprocess.run(
            ["/bin/sh", "-c", chain],
            env=operator.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, (chain, done.stderr)
        assert done.stderr == "", chain
        assert printed in (None, done.stdout), chain


def test_an_operation_is_named_by_how_it_begins(
    shared: Rolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    here = Here(shared.service, tmp_path, monkeypatch, capsys)
    for characters in (4, 8, 13, 20, 36):
        begins = shared.name[:characters]
        for command in (("op", "show"), ("status",), ("open",)):
            assert shared.name in here.run(*command, begins, "-o", "name"), command
        assert here.run("op", "failed", begins, "-o", "name") == f"{shared.hosts[0].address}\n"
        assert here.rows("history", begins) == here.rows("history", f"operation/{shared.name}")
    here.run("restart", shared.cluster, "--hosts", "10.1.*", "-y", status=1)
    assert "is meant by 10.1.*" in here.said
    here.run("op", "show", shared.name[:3], status=1)
    assert "4 characters of an id at least" in here.said
    here.run("op", "show", "ffff", status=1)
    here.run("history", "ffff", status=1)
    other = shared.name[:-1] + ("0" if shared.name[-1] != "0" else "1")
    here.run("op", "show", other, status=1)


def test_where_there_is_no_browser_the_address_is_printed(shared: Rolled, tmp_path: Path) -> None:
    operator = Operator(tmp_path / "home", shared.service)
    operator.environment["PATH"] = "/nonexistent"
    with operator_terminal(operator, "open", shared.cluster) as terminal:
        assert terminal.end() == 0
        assert terminal.screen == f"{shared.service.url}/cluster/{shared.cluster}"
    # One that says nothing, as where there is no display.
    operator.environment |= {"BROWSER": "true %s", "PATH": "/usr/bin:/bin"}
    with operator_terminal(operator, "open", shared.name[:13]) as terminal:
        assert terminal.end() == 0
        assert terminal.screen == f"{shared.service.url}/operation/{shared.name}"


def operator_terminal(operator: Operator, *arguments: str) -> Terminal:
    """Whatever PATH the command has."""
    path = operator.environment["PATH"]
    command = ["/usr/bin/env", f"PATH={path}", sys.executable, "-m", "commctl", *arguments]
    return Terminal(command, operator.environment | {"PATH": "/usr/bin:/bin"}, 120)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_commands_and_options(shared: Rolled, tmp_path: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    plain, source = SHELLS[shell]
    operator = Operator(tmp_path / "home", shared.service)
    operator.program()
    with Terminal([program, plain, "-i"], operator.environment, 100) as terminal:
        terminal.press(f"{source}; echo rea''dy\n")
        terminal.see(lambda screen: re.search(r"^ready", screen, re.MULTILINE))
        terminal.press("commctl host ch\t")
        terminal.see("commctl host check")
        terminal.press("\x15commctl host list --sta\t")
        terminal.see("commctl host list --status")
