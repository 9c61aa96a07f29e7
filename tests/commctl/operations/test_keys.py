"""The keys of a watch, each pressed in a terminal, and other ways out of one: on real hosts."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commctl.conftest import QUICK
from tests.commctl.operator import Operator
from tests.commctl.terminal import Terminal
from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

LIMIT_S = 60
STEP_S = 120
"""How long a step runs where nobody cancels it: longer than all keys take."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    """A service, and a cluster of two hosts whose steps take long."""
    directory = tmp_path_factory.mktemp("keys")
    with Service(directory / "service", None, *QUICK) as service, Fleet(directory / "f") as fleet:
        rolled = Rolled(service, fleet.add_many(["fedora", "debian"]))
        for host in rolled.hosts:
            host.set("package_seconds", STEP_S)
        yield rolled


@pytest.fixture
def watched(shared: Rolled, tmp_path: Path) -> Iterator[Terminal]:
    """A watch of an upgrade of both hosts, that is begun for this test and cancelled after it."""
    shared.begin("upgrade", max_parallel=2)
    operator = Operator(tmp_path / "home", shared.service)
    with operator.terminal("op", "watch", shared.name[:13], columns=80) as terminal:
        terminal.see("running 2")
        yield terminal
    if shared.record["status"] in ("in_process", "paused"):
        shared.steer("cancelled")
        shared.over()


def test_p_pauses_and_r_resumes(watched: Terminal, shared: Rolled) -> None:
    watched.press("p")
    screen = watched.see("paused")
    assert "r resume" in screen
    assert "p pause" not in screen
    assert shared.record["status"] == "paused"
    watched.press("R")  # capitals are keys, too
    watched.see("p pause")
    assert shared.record["status"] == "in_process"


def test_c_asks_and_y_cancels(watched: Terminal, shared: Rolled) -> None:
    watched.press("y")  # to no question
    watched.press("c")
    watched.see("Cancel it?")
    watched.press("n")
    watched.see(lambda screen: "Cancel it?" not in screen)
    assert not shared.record["cancelling"]
    watched.press("c")
    watched.see("Cancel it?")
    watched.press("y")
    assert watched.end() == 5
    assert "upgrade of " in watched.screen
    assert " cancelled in " in watched.screen
    assert shared.over()["status"] == "cancelled"


def test_o_shows_what_a_host_says(watched: Terminal, shared: Rolled) -> None:
    wait_for(lambda: b"Upgrading" in shared.output(shared.hosts[0]) or None)
    watched.press("o")
    watched.see(f"{shared.hosts[0].address} says:")
    # A terminal is read in pieces: only the last line that is drawn says that all of it is here.
    screen = watched.see(lambda screen: shared.hosts[1].address in screen.partition(" says:")[2])
    assert "  Upgrading:" in screen
    assert screen.count("o output") == 1, "what was drawn is drawn once"


def test_q_leaves_and_says_how_to_come_back(watched: Terminal, shared: Rolled) -> None:
    watched.press("q")
    assert watched.end() == 130
    name = shared.name[:13]
    assert f"{name} goes on; watch it again: commctl op watch {name}" in watched.screen
    assert f"cancel it: commctl op cancel {name}" in watched.screen
    assert "running" not in watched.screen
    assert shared.record["status"] == "in_process"


def test_a_key_that_the_service_refuses_is_said_and_the_watch_goes_on(
    shared: Rolled, tmp_path: Path
) -> None:
    shared.begin("upgrade", max_parallel=2)
    viewer = Operator(tmp_path / "viewer")
    netrc = viewer.home / ".netrc"
    netrc.touch(mode=0o600)
    netrc.write_text(f"machine 127.0.0.1 login viewer password {shared.service.password}\n")
    command = ("op", "watch", shared.name, "-s", shared.service.url)
    with viewer.terminal(*command, columns=80) as terminal:
        terminal.see("running 2")
        terminal.press("p")
        terminal.see("viewer")
        with viewer.terminal(*command, columns=80) as left:
            left.see("running 2")
            left.press("cyq")
            assert left.end() == 130
            assert "viewer" in left.screen
            assert "goes on; watch it again" in left.screen
        shared.steer("cancelled")
        assert terminal.end() == 5


def test_a_key_does_not_wait_for_a_service_that_hangs(watched: Terminal, shared: Rolled) -> None:
    shared.service.send(signal.SIGSTOP)
    try:
        watched.press("p")
        watched.press("o")
        watched.see("has not answered the last key yet")
        watched.press("q")
        assert watched.end(LIMIT_S) == 130
        assert "goes on; watch it again" in watched.screen
    finally:
        shared.service.send(signal.SIGCONT)


def test_a_pipe_is_left_by_control_c_and_by_a_limit_and_it_goes_on(
    shared: Rolled, tmp_path: Path
) -> None:
    operator = Operator(tmp_path / "home", shared.service)
    begun = operator.run("upgrade", shared.cluster, "-P", "2", "-y", "--timeout", "1s", status=124)
    assert "goes on; watch it again: commctl op watch" in begun.stderr
    with watching(operator, shared.cluster) as process:
        assert process.stderr
        assert "in_process: 2 in_process" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130
        assert "cancel it: commctl op cancel" in said
    (listed,) = operator.json("op", "list", "--status", "in_process")
    assert operator.run("op", "cancel", "-o", "name").stdout == f"{listed['id']}\n"
    assert operator.run("op", "watch", listed["id"], status=5).stderr


def test_a_log_in_that_ends_during_a_watch_is_said_and_it_goes_on(
    shared: Rolled, tmp_path: Path
) -> None:
    service = shared.service
    made = service.client.put("/token/watcher", json={"role": "operator", "expires": "1h"}).json()
    operator = Operator(tmp_path / "home", COMMCTL_TOKEN=made["token"], COMMCTL_SERVER=service.url)
    name = operator.run("upgrade", shared.cluster, "-y", "--detach", "-o", "name").stdout.strip()
    with watching(operator, name) as process:
        assert process.stderr
        assert "in_process: " in process.stderr.readline()
        service.client.delete("/token/watcher").raise_for_status()
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 6
        assert "COMMCTL_TOKEN" in said
        assert f"{name[:13]} goes on; watch it again" in said
    service.client.put(f"/operation/{name}/state", json={"state": "cancelled"})
    wait_for(lambda: service.client.get(f"/operation/{name}").json()["status"] == "cancelled")


def test_a_watch_in_the_background_of_a_shell_is_not_stopped_by_its_terminal(
    shared: Rolled, tmp_path: Path
) -> None:
    shared.begin("upgrade", max_parallel=2)
    operator = Operator(tmp_path / "home", shared.service)
    operator.program()
    watched = f"commctl op watch {shared.name[:13]} --timeout 1s & wait $!; echo it ended with $?"
    shell = ["bash", "--norc", "--noprofile", "-ic", watched]
    with Terminal(shell, operator.environment, 120) as terminal:
        terminal.see("it ended with 124")
    shared.steer("cancelled")
    shared.over()


def watching(operator: Operator, name: str) -> "subprocess.Popen[str]":
    """A watch in a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "commctl", "op", "watch", name],
        env=operator.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
