"""Operations by `commctl` on real hosts: plan, question, start, watch, and how each ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commctl.conftest import QUICK
from tests.commctl.operator import Operator
from tests.end_to_end.operations.rolled import Rolled, reboots
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

LIMIT_S = 90


@pytest.fixture
def rolled(service: Service, fleet: Fleet) -> Rolled:
    """A cluster of three hosts that are active."""
    return Rolled(service, fleet.add_many(["fedora", "debian", "fedora"]))


def test_an_upgrade_in_a_pipe_is_a_line_for_each_event_and_0(
    operator: Operator, rolled: Rolled
) -> None:
    done = operator.run("upgrade", rolled.cluster, "-P", "2", "-y", "--note", "monday")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    hosts = {host.address for host in rolled.hosts}
    assert {line[1] for line in lines if line[3] == "done"} == hosts
    assert lines[-1][3] == "finished"
    assert len({tuple(line) for line in lines}) == len(lines)
    assert "upgrade of " in done.stderr
    assert "3 of 3 hosts, 2 at once, ends after the first failure" in done.stderr
    (listed,) = operator.json("op", "list", "-c", rolled.cluster)
    assert (listed["status"], listed["note"]) == ("finished", "monday")
    assert operator.run("op", "failed", rolled.cluster, "-o", "name").stdout == ""
    said = operator.run("op", "output", rolled.cluster, rolled.hosts[0].address).stdout
    assert "ended with exit status 0" in said
    shown = operator.json("op", "show", listed["id"][:13])
    assert {host["outcome"] for host in shown["hosts"]} == {"done"}


def test_in_a_pipe_nothing_begins_without_y(operator: Operator, rolled: Rolled) -> None:
    assert "say -y" in operator.run("restart", rolled.cluster, status=2).stderr
    planned = operator.run("restart", rolled.cluster, "--plan", "-P", "50%", "-o", "json")
    assert json.loads(planned.stdout)["max_parallel"] == 1
    assert operator.json("op", "list") == []


def test_skipped_and_failed_hosts_have_a_status_of_their_own(
    operator: Operator, rolled: Rolled, service: Service, fleet: Fleet
) -> None:
    rolled.hosts[0].set("package_status", 1)
    failed = operator.run("upgrade", rolled.cluster, "-y", status=4)
    assert f"{rolled.hosts[0].address}  failed: " in failed.stderr
    names = operator.run("op", "failed", "-o", "name").stdout
    assert names == f"{rolled.hosts[0].address}\n"
    partial = operator.run("upgrade", rolled.cluster, "-y", "-F", "1", status=3)
    assert "commctl op retry" in partial.stderr
    rolled.hosts[0].set("package_status", 0)
    before = operator.json("op", "list")
    asked = operator.run("op", "retry", rolled.cluster, status=2).stderr
    assert "say -y" in asked
    assert "upgrade of " in asked
    assert f"again: {rolled.hosts[0].address}\n" in asked
    planned = operator.rows("op", "retry", rolled.cluster, "--plan")
    assert planned == [[rolled.hosts[0].address, "taken", ""]]
    assert operator.json("op", "list") == before, "nothing has begun"
    done = operator.run("op", "retry", rolled.cluster, "-y")
    assert done.stdout.endswith("\tfinished\t\n")
    again = operator.run("op", "retry", before[0]["id"], "--detach", "-o", "name").stdout.strip()
    assert again == operator.json("op", "list")[0]["id"], "the retry that there is"
    locked = fleet.add("fedora", user="ops")
    locked.sudo("password")
    service.register(locked, cluster=rolled.cluster)
    service.wait_for_status(locked.address, "failed")
    plan = operator.run("upgrade", rolled.cluster, "--plan")
    assert "3 of 4 hosts" in plan.stderr
    skipped = plan.stdout.splitlines()[-1].split("\t")
    assert skipped[:2] == [locked.address, "skipped"]
    assert skipped[2].endswith(f"commctl host check {locked.address}")


def test_cancelled_and_left_and_out_of_time(operator: Operator, rolled: Rolled) -> None:
    for host in rolled.hosts:
        host.set("package_seconds", 60)
    begun = operator.run("upgrade", rolled.cluster, "-y", "--timeout", "2s", status=124)
    assert "goes on; watch it again: commctl op watch" in begun.stderr
    with operator.terminal("op", "watch", rolled.cluster) as terminal:
        terminal.see("running 1")
        terminal.press("\x03")
        assert terminal.end() == 130
        assert "goes on; watch it again: commctl op watch" in terminal.screen
    assert operator.json("op", "list")[0]["status"] == "in_process"
    watching = subprocess.Popen(
        [sys.executable, "-m", "commctl", "op", "watch", rolled.cluster],
        env=operator.environment,
        stdout=subprocess.PIPE,
    )
    operator.run("op", "pause", rolled.cluster)
    with operator.terminal("status") as terminal:
        terminal.see("commctl op resume")
        terminal.end()
    operator.run("op", "resume", rolled.cluster)
    operator.run("op", "cancel", rolled.cluster)
    assert watching.communicate(timeout=LIMIT_S)[0].splitlines()[-1].split(b"\t")[3] == b"cancelled"
    assert watching.returncode == 5


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_an_operation_on_a_terminal(operator: Operator, rolled: Rolled, columns: int) -> None:
    for host in rolled.hosts:
        host.set("package_seconds", 1)
    arguments = ("upgrade", rolled.cluster, "-P", "2", "-F", "1")
    with operator.terminal(*arguments, columns=columns) as terminal:
        terminal.see("Go on? [y/N]")
        terminal.press("y\n")
        screen = terminal.see("running 2")
        assert "failed 0 of 1 allowed" in screen
        assert "p pause  c cancel  o output  q leave" in screen
        terminal.press("p")
        terminal.see("paused")
        terminal.press("r")
        terminal.see("last ended")
        assert terminal.colours
        assert terminal.end() == 0
        screen = terminal.screen
    assert "finished in" in screen
    assert "3 done" in screen
    assert "running" not in screen, "what was drawn in place is gone"


def test_no_is_no(operator: Operator, rolled: Rolled) -> None:
    with operator.terminal("restart", rolled.cluster) as terminal:
        terminal.see("Go on? [y/N]")
        terminal.press("\n")
        assert terminal.end() == 1
    assert operator.json("op", "list") == []


def test_a_watch_goes_on_over_a_service_that_is_killed_and_shows_each_event_once(
    tmp_path: Path, fleet: Fleet
) -> None:
    with Service(tmp_path / "service", None, *QUICK) as service:
        operator = Operator(tmp_path / "home", service)
        rolled = Rolled(service, fleet.add_many(["fedora", "fedora", "debian"]))
        for host in rolled.hosts:
            host.reboots("new", 1)
        watching = subprocess.Popen(
            [sys.executable, "-m", "commctl", "restart", rolled.cluster, "-y", "-o", "jsonl"],
            env=operator.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: reboots(rolled.hosts[0]) == 1)
        service.kill()
        service.start()
        out, _ = watching.communicate(timeout=LIMIT_S)
        assert watching.returncode == 0, out
        seen = [json.loads(line)["id"] for line in out.splitlines()]
        name = json.loads(out.splitlines()[0])["subject"]
        logged = service.client.get("/events", params={"subject": name, "limit": 1000}).json()
        assert seen == [event["id"] for event in logged]


def test_a_service_that_stops_answering_is_said_and_waited_for(
    operator: Operator, rolled: Rolled, service: Service
) -> None:
    for host in rolled.hosts:
        host.set("package_seconds", 3)
    with operator.terminal("upgrade", rolled.cluster, "-y") as terminal:
        terminal.see("running 1")
        service.kill()
        terminal.see("does not answer for")
        terminal.press("c")
        terminal.see("Cancel it?")  # what is asked is not hidden
        terminal.press("n")
        service.start()
        terminal.see(lambda screen: "running 1" in screen and "does not answer" not in screen)
        assert terminal.end() == 0


def test_detached_it_goes_on_by_itself(operator: Operator, rolled: Rolled) -> None:
    name = operator.run("restart", rolled.cluster, "-y", "--detach", "-o", "name").stdout.strip()
    assert operator.run("op", "watch", name[:13]).stdout.endswith("\tfinished\t\n")
    assert operator.run("op", "watch", name, status=0).stdout == ""
    assert operator.rows("status", name)[0] == ["operation", name]
    refused = operator.run("op", "cancel", name, status=1)
    assert refused.stderr


def test_hosts_are_chosen_by_labels_and_by_patterns(
    operator: Operator, rolled: Rolled, service: Service
) -> None:
    first, second = rolled.hosts[0].address, rolled.hosts[1].address
    operator.run("host", "label", first, "role=db")
    plan = ("restart", rolled.cluster, "--plan", "-o", "json", "--hosts")
    assert json.loads(operator.run(*plan, "role=db").stdout)["hosts"] == [first]
    assert json.loads(operator.run(*plan, second).stdout)["hosts"] == [second]
    assert operator.run(*plan, "role=none", status=1).stderr
