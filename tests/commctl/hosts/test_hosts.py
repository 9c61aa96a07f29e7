"""Hosts and clusters by `commctl`, on real hosts: what is printed, and how it ends."""

import json
import re
from pathlib import Path

import pytest

from tests.commctl.operator import Operator
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_life_of_a_host_in_a_pipe(operator: Operator, fleet: Fleet) -> None:
    host = fleet.add("fedora")
    assert operator.rows("cluster", "create", "web") == [["web", "ok", ""]]
    key = operator.key_file(host.private_key)
    add = ("host", "add", host.address, "-k", key, "-p", str(host.port), "-c", "web", "-l", "a=b")
    assert operator.rows(*add) == [[host.address, "added", ""]]
    assert operator.rows(*add) == [[host.address, "same", ""]]
    (checked,) = operator.rows("host", "check", host.address)
    assert checked[:2] == [host.address, "active"]
    (record,) = operator.run(
        "host", "check", host.address, "--updates", "-o", "jsonl"
    ).stdout.splitlines()
    assert json.loads(record)["updates"]["all"] >= 0
    (row,) = operator.rows("host", "list", "10.*", "127.*", "-c", "web", "a=b", "os=fedora")
    assert row[:2] == [host.address, "active"]
    assert TIME.fullmatch(row[2])
    assert "a=b" in row
    assert operator.run("host", "list", "-o", "name").stdout == f"{host.address}\n"
    assert operator.json("host", "list")[0]["address"] == host.address
    header, same = operator.rows("host", "list", "--header")
    assert (header[:2], same[:2]) == (["address", "status"], [host.address, "active"])
    assert operator.rows("host", "label", host.address, "a-", "c=d")[0][1] == "c=d"
    assert operator.rows("cluster", "list")[0][:4] == ["web", "ok", "1", "1"]
    assert operator.rows("cluster", "remove", "web", host.address)[0][1] == "removed"
    assert operator.rows("cluster", "add", "web", host.address)[0][1] == "added"
    told = [row[2] for row in operator.rows("host", "history", host.address)]
    assert told[0].startswith("registered")
    assert operator.run("host", "rm", host.address, status=2).stderr.endswith("say -y.\n")
    assert operator.rows("host", "rm", host.address, "-y")[0][1] == "removed"
    assert operator.rows("cluster", "rm", "web", "-y") == [["web", "removed", ""]]
    assert operator.run("host", "list").stdout == ""


def test_a_failed_host_is_told_with_its_reason_and_what_mends_it(
    operator: Operator, service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora", user="ops")
    host.sudo("password")
    service.register(host)
    service.wait_for_status(host.address, "failed")
    (row,) = operator.rows("host", "list", "--why", "sudo")
    assert row[0] == host.address
    assert row[-1].startswith("sudo: ")
    with operator.terminal("host", "why", columns=80) as terminal:
        screen = terminal.see("→ commctl host check")
        assert terminal.end() == 0
    assert f"{host.address}  failed" in screen
    assert "NOPASSWD" in screen
    operator.run("host", "check", host.address, status=1)


def test_a_refusal_is_one_line_and_the_others_go_on(operator: Operator) -> None:
    done = operator.run("cluster", "create", "web", "no/name", "db", status=1)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["web", "ok"], ["no/name", "refused"], ["db", "ok"]]
    assert rows[1][2]
    missing = operator.run("host", "show", "10.9.9.9", status=1)
    assert missing.stderr == (
        "commctl: There is no host 10.9.9.9. Those there are: commctl host list,"
        " or make it: commctl host add\n"
    )
    (row,) = operator.rows("cluster", "add", "nope", "10.9.9.9", status=1)
    assert row[2].endswith("commctl cluster create")
    nope = operator.run("host", "list", "-c", "nope", status=1).stderr
    assert "There is no cluster nope. Those there are: commctl cluster list" in nope


def test_an_empty_word_means_no_host_rather_than_all(operator: Operator) -> None:
    operator.run("cluster", "create", "web")
    for words in (["-c", ""], [""], ["a", ""], [","], ["--status", ""], ["--find", ""]):
        assert "is empty" in operator.run("host", "list", *words, status=2).stderr
    assert "is empty" in operator.run("host", "check", "", status=2).stderr
    assert "is empty" in operator.run("host", "check", "-c", "", status=2).stderr


@pytest.mark.parametrize("name", ["", ".", "..", "web?x", "web#x", "web/hosts/10.9.9.9"])
def test_a_name_is_a_name_and_no_path_that_leads_elsewhere(operator: Operator, name: str) -> None:
    operator.run("cluster", "create", "web")
    for command in ("cluster rm", "host rm", "network rm", "host hostkey forget"):
        yes = ("-y",) if command.endswith("rm") else ()
        done = operator.run(*command.split(), *yes, name, status=None)
        assert done.returncode in (1, 2), (command, name, done)
        assert "This path" not in done.stdout + done.stderr, (command, name)
        assert "at this path" not in done.stdout + done.stderr, (command, name)
    assert operator.rows("cluster", "list", "-o", "name") == [["web"]]


def test_an_option_without_its_value_is_said(operator: Operator) -> None:
    assert (
        operator.run("host", "list", "-o", status=2).stderr
        == "commctl: -o wants a value after it.\n"
    )
    assert operator.run("cluster", "list", "-o=name").stdout == ""


def test_wrong_use_no_server_and_no_log_in_have_a_status_of_their_own(
    operator: Operator, service: Service
) -> None:
    assert operator.run("hots", status=2).stderr
    assert operator.run("host", "list", "-o", "xml", status=2).stderr
    nothing = operator.run("restart", "web", "--hosts", "", "-y", status=2)
    assert "--hosts says nothing" in nothing.stderr
    nobody = operator.run("host", "list", "-s", "http://127.0.0.1:1", status=6)
    assert "http://127.0.0.1:1 does not answer" in nobody.stderr
    file = operator.home / "token"
    file.touch(mode=0o600)
    file.write_text("cmsr_wrong")
    wrong = operator.run("host", "list", "--token-file", str(file), status=6)
    assert str(file) in wrong.stderr
    file.chmod(0o644)
    assert "chmod 600" in operator.run("status", "--token-file", str(file), status=2).stderr
    elsewhere = Operator(operator.home, NETRC=str(operator.home / "netrc"))
    assert "log-in" in elsewhere.run("status", "-s", service.url, status=6).stderr


def test_a_role_that_is_too_small_is_a_refusal_and_no_missing_log_in(
    operator: Operator, service: Service
) -> None:
    netrc = operator.home / ".netrc"
    netrc.touch(mode=0o600)
    netrc.write_text(f"machine 127.0.0.1 login viewer password {service.password}\n")
    viewer = Operator(operator.home)
    assert viewer.run("cluster", "list", "-s", service.url).stdout == ""
    refused = viewer.run("cluster", "create", "web", "-s", service.url, status=1)
    assert "refused" in refused.stdout


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_what_identifies_is_never_cut_on_a_terminal(
    operator: Operator, service: Service, fleet: Fleet, columns: int
) -> None:
    name = "a-host-with-a-long-name.in-a-department.of-a.company.example"
    host = fleet.add("fedora")
    service.client.put(f"/host/{name}", json={"ssh_priv_key": "x"})
    service.register(host)
    service.register(host, name)
    service.wait_for_status(name, "failed")
    service.wait_for_status(host.address, "disassociated")
    with operator.terminal("host", "list", columns=columns) as terminal:
        screen = terminal.see("2 hosts, 1 failed")
        assert terminal.end() == 0
        assert {"green", "red"} & terminal.colours
    reason = service.client.get("/fleet/hosts?status=failed").json()[0]["reason"]
    assert name in screen
    assert host.address in screen
    assert "failed ✗" in screen
    assert all(word in screen for word in reason.split())
    assert max(map(len, screen.splitlines())) <= columns


def test_no_color_and_columns_are_kept(operator: Operator, service: Service) -> None:
    service.client.put("/cluster/web")
    with operator.terminal("cluster", "list", "--no-color") as terminal:
        assert "NAME" in terminal.see("1 cluster")
        terminal.end()
        assert not terminal.colours
    operator.environment["COLUMNS"] = "30"
    with operator.terminal("cluster", "list") as terminal:
        assert "NETWORK" not in terminal.see("1 cluster")


def test_the_first_page_as_text(operator: Operator, service: Service, fleet: Fleet) -> None:
    host = fleet.add("fedora")
    with operator.terminal("status") as terminal:
        assert "no hosts" in terminal.see("Operations")
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    with operator.terminal("status", "--no-color") as terminal:
        assert "1 hosts: 1 disassociated ○" in terminal.see("none in process")
    assert ["hosts", "1"] in operator.rows("status")
    assert ["address", host.address] in operator.rows("status", host.address)


def test_names_of_the_past(operator: Operator, service: Service) -> None:
    service.client.put("/cluster/web")
    position = service.client.get("/events?subject=cluster/web").json()[0]["id"]
    service.client.delete("/cluster/web")

    def gone() -> bool:
        return operator.run("cluster", "list").stdout == ""

    assert wait_for(gone)
    assert operator.rows("cluster", "list", "--at", f"@{position}")[0][0] == "web"
    assert operator.run("cluster", "list", "--at", "-1h").stdout == ""
    operator.run("cluster", "list", "--at", "last week", status=2)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("user", "add", "ada", "--role", "nope"), "--role nope: a role is one of viewer, "),
        (("user", "set", "ada", "--role", ""), "--role : a role is one of viewer, "),
        (("user", "add", "ada", "-c", "web=nope"), "-c web=nope: a role is one of viewer, "),
        (("token", "add", "ci", "--role", "nope"), "--role nope: a role is one of viewer, "),
        (("host", "add", "10.0.0.1", "-k", "-", "-p", "99999"), "-p 99999 is no port: 1 to 65535."),
        (("host", "add", "10.0.0.1", "-k", "-", "-p", "ssh"), "-p ssh is no port: 1 to 65535."),
        (("host", "key", "rotate", "10.0.0.1", "-k", "-", "-p", "0"), "-p 0 is no port"),
        (("host", "import", "-", "-p", "-1"), "-p -1 is no port"),
        (("host", "add", "10.0.0.1", "-k", "-", "-c", ""), "The name of the cluster is empty."),
        (("cluster", "create", ""), "The name of the cluster is empty."),
        (("cluster", "rm", "", "-y"), "The name of the cluster is empty."),
        (("cluster", "add", "", "10.0.0.1"), "The name of the cluster is empty."),
        (("upgrade", "", "-y"), "The name of the cluster is empty."),
    ],
)
def test_a_wrong_value_is_told_at_its_option_and_nobody_is_asked(
    tmp_path: Path, command: tuple[str, ...], told: str
) -> None:
    done = Operator(tmp_path / "home").run(*command, status=2)
    assert done.stderr.startswith(f"commctl: {told}")
    assert len(done.stderr.splitlines()) == 1
