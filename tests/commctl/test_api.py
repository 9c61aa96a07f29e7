"""The client as a library, and what becomes of requests whose answers get lost."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import commctl.api
from commctl.api import Api, Password, Server
from commctl.exits import NoLogin, NoServer, Refused
from commctl.streams import Listener, Silence, follow
from tests.commctl.in_process import Here
from tests.commctl.operator import Operator
from tests.end_to_end.operations.rolled import Rolled
from tests.faults.proxy import Proxy
from tests.fleet import Fleet
from tests.fleet.keys import new_key
from tests.support.service import Service, wait_for

LIMIT_S = 60.0


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:
    """A way to the service that can be cut."""
    proxy = Proxy("127.0.0.1", int(service.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def client(service: Service, url: str = "") -> Api:
    """Of an administrator."""
    return Api(Server(url or service.url, Password("admin", service.password)))


def test_the_example_of_the_module_runs(service: Service) -> None:
    told = commctl.api.__doc__ or ""
    code = re.search(r"\n    from.*?\n\n(?=\S)", told, re.DOTALL)
    assert code
    example = code[0].replace("\n    ", "\n").replace("https://commissaire.example", service.url)
    token = json.loads((service.data / "local.json").read_text())["token"]
    exec(example, {"token": token})  # noqa: S102 - our own example


def test_records_pages_and_refusals(service: Service) -> None:
    with client(service) as fleet:
        fleet.put("cluster/web", {})
        assert fleet.clusters() == ["web"]
        assert fleet.cluster("web")["hosts"]["total"] == 0
        assert list(fleet.hosts(cluster="web")) == []
        with pytest.raises(Refused) as refused:
            fleet.cluster("../clusters")
        assert refused.value.code in (400, 404)
    with Api(Server(service.url, "cmsr_none")) as nobody, pytest.raises(NoLogin):
        nobody.clusters()
    with Api(Server("http://127.0.0.1:1")) as nowhere, pytest.raises(NoServer):
        nowhere.clusters()


def test_a_change_whose_answer_is_lost_is_sent_again(service: Service, proxy: Proxy) -> None:
    with client(service, f"http://127.0.0.1:{proxy.port}") as fleet:
        fleet.clusters()
        proxy.cut()  # the connection that is kept is dead, and no other is taken for a moment
        proxy.mend()
        fleet.put("cluster/web", {})
        assert fleet.clusters() == ["web"]


def test_a_stream_over_cut_connections_tells_each_event_once(
    service: Service, proxy: Proxy
) -> None:
    with client(service, f"http://127.0.0.1:{proxy.port}") as fleet:
        listener = Listener(follow(fleet.transport, fleet.position(), type="cluster.created"))
        names = [f"c{number}" for number in range(6)]
        seen: list[str] = []

        def came(name: str) -> bool:
            told = listener.next(0.2)
            if told is not None and not isinstance(told, Silence):
                seen.append(told["data"]["name"])
            return name in seen

        for number, name in enumerate(names):
            if number % 2:
                proxy.cut()
            service.client.put(f"/cluster/{name}")
            if number % 2:
                proxy.mend()
            wait_for(lambda name=name: came(name), LIMIT_S)  # type: ignore[misc]
        assert seen == names


def test_a_watch_over_cut_connections_goes_on(
    tmp_path: Path, service: Service, proxy: Proxy, fleet: Fleet
) -> None:
    rolled = Rolled(service, fleet.add_many(["fedora", "fedora"]))
    for host in rolled.hosts:
        host.set("package_seconds", 2)
    token = json.loads((service.data / "local.json").read_text())["token"]
    operator = Operator(tmp_path / "home", COMMCTL_TOKEN=token)
    url = f"http://127.0.0.1:{proxy.port}"
    with operator.terminal("upgrade", rolled.cluster, "-y", "-s", url) as terminal:
        terminal.see("running 1")
        proxy.cut()
        proxy.mend()
        assert terminal.end() == 0
        assert "2 done" in terminal.screen


def test_a_note_a_request_and_a_key_from_standard_input(
    tmp_path: Path, service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    operator = Operator(tmp_path / "home", service)
    operator.run(
        "host", "add", host.address, "-k", "-", "-p", str(host.port), "--request", "TICKET-7",
        "--note", "monday", stdin=host.private_key.decode(),
    )  # fmt: skip
    events = service.client.get("/events", params={"type": "host.registered"}).json()
    assert (events[0]["correlationid"], events[0]["note"]) == ("TICKET-7", "monday")


def test_a_long_list_goes_through_the_pager_that_somebody_set(
    tmp_path: Path, service: Service
) -> None:
    for number in range(30):
        service.client.put(f"/cluster/c{number}")
    paged = Operator(tmp_path / "home", service, PAGER="sed s/^/paged:/")
    with paged.terminal("cluster", "list", rows=20) as terminal:
        terminal.see("30 clusters")
        assert "paged:c9" in terminal.screen
        assert terminal.end() == 0
    with paged.terminal("cluster", "list", rows=60) as terminal:
        assert "paged:" not in terminal.see("30 clusters")


def test_a_note_is_any_line_of_text_and_no_secret_is_told_where_one_is_none(
    tmp_path: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = Here(service, tmp_path, monkeypatch, capsys)
    here.run("cluster", "create", "web", "--note", "für 漢字")
    (event,) = service.client.get("/events", params={"type": "cluster.created"}).json()
    assert event["note"] == "für 漢字"
    for wrong in (("--note", "two\nlines"), ("--request", "a\tb")):
        here.run("cluster", "create", "db", *wrong, status=2)
        assert f"{wrong[0]} is not one line of text" in here.said
    here.run("cluster", "create", "db", "--profile", "none", status=2)
    here.run("cluster", "create", "db", "--note", "\udcff", status=1)
    here.run("host", "show", "\udcff", status=2)
    token = tmp_path / "token"
    token.touch(mode=0o600)
    for text, status in (("A-SECRET\nA-SECRET", 2), ("A-SECRET-ü", 6)):
        token.write_text(text)
        assert "SECRET" not in here.run("status", "--token-file", str(token), status=status)
        assert "SECRET" not in here.said
        assert str(token) in here.said


def test_files_that_are_no_text_and_outputs_that_are_closed_or_full(
    tmp_path: Path, service: Service
) -> None:
    service.client.put("/cluster/web", headers={b"Commissaire-Note": "für 漢字".encode()})
    operator = Operator(tmp_path / "home", service)
    operator.program()
    (operator.home / "odd").write_bytes(b"\xff\xfe\n")
    key = operator.key_file(new_key().private)
    for command, status, said in (
        (f"commctl host import odd -k {key} --dry-run", 2, "odd is no text in UTF-8"),
        ("commctl api PUT cluster/x --input odd", 2, "no text in UTF-8"),
        ("commctl host import . -k id_ed25519", 1, "Is a directory"),
        ("commctl status >/dev/full", 1, "No space left on device"),
        ("commctl status >&-", 0, ""),
        # A character that the terminal has not is shown.
        (r"PYTHONIOENCODING=ascii commctl history | grep -qF 'f\xfcr \u6f22'", 0, ""),
        ("commctl status 2>&- <&-", 0, ""),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=operator.home,
            env=operator.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert done.returncode == status, (command, done.stderr)
        assert said in done.stderr
        assert done.stderr.count("\n") == bool(said), done.stderr
