"""Starting and stopping, as an operator sees it."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.faults.client import registration
from tests.support.certificates import Authority
from tests.support.service import Service, wait_for

LIMIT_S = 120
FOUR, SIX = "127.0.0.5", "::1"
"""Addresses of this machine, to come from."""


def serve(*arguments: str, data: Path) -> "subprocess.CompletedProcess[str]":
    """Run `commissaire serve` to its end, which must come soon."""
    return subprocess.run(
        [sys.executable, "-m", "runners.cli", "serve", "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_sigterm_ends_with_status_0_and_what_was_answered_is_there_at_the_next_start(
    service: Service,
) -> None:
    assert service.client.put("/cluster/web").status_code == 201
    assert service.stop() == 0
    service.start()
    assert service.client.get("/clusters").json() == ["web"]
    assert service.stop(signal.SIGINT) == 0


def test_on_all_addresses_machines_of_both_families_register_themselves(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for flags in ([], authority.server().flags):
        service = Service(tmp_path / f"{len(flags)}", None, "--host", "::", *flags)
        service.trusted = authority.trust()
        with service:
            url = httpx.URL(service.url)
            for address, of_the_service in ((FOUR, "127.0.0.1"), (SIX, SIX)):
                transport = httpx.HTTPTransport(local_address=address, verify=service.trusted)
                auth = ("operator", service.password)
                where = url.copy_with(host=of_the_service, path="/api/v0/host")
                with httpx.Client(transport=transport, auth=auth, timeout=LIMIT_S) as client:
                    answer = client.put(where, json=registration())
                assert answer.status_code == 201, answer.text
                assert answer.json()["address"] == address
            with socket.create_connection(("127.0.0.1", url.port or 0), LIMIT_S) as rude:
                rude.sendall(b"What?\r\n\r\n")
                rude.recv(1)
            wait_for(lambda: '"request.refused"' in service.read_log())  # noqa: B023 - called at once
            assert '"client":"127.0.0.5"' in service.read_log()
            assert "::ffff:" not in service.read_log()


def test_a_second_serve_on_the_same_data_directory_is_refused_with_the_holders_name(
    tmp_path: Path,
) -> None:
    with Service(tmp_path) as service:
        second = serve("--port", "0", data=service.data)
        assert second.returncode == 1
        assert f"process {service.pid} on " in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert service.client.get("/clusters").json() == []


def test_a_fresh_data_directory_gets_an_admin_whose_password_is_shown_once(tmp_path: Path) -> None:
    service = Service(tmp_path, named=False)
    (service.data / "users.json").unlink()
    with service:
        password = service.read_log().partition("shown only now: ")[2].split()[0]
        assert '"type":"user.added","subject":"user/admin"' in service.read_log()
        answer = httpx.get(f"{service.url}/api/v0/clusters", auth=("admin", password))
        assert answer.json() == []
        service.stop()
        begin = service.log.stat().st_size
        service.start()
        assert "shown only now" not in service.read_log(begin)
        for path in service.data.iterdir():
            assert password.encode() not in path.read_bytes()


def test_a_users_file_that_was_named_and_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    refused = serve("--users", str(tmp_path / "nobody.json"), data=tmp_path)
    assert refused.returncode == 2
    assert "nobody.json" in refused.stderr


def test_another_databases_master_key_is_a_wrong_setting(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.stop()
        (service.data / "master.key").unlink()
        refused = serve("--port", "0", data=service.data)
        assert refused.returncode == 2
        assert "master key" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with Service(tmp_path / "one") as service:
        refused = serve("--port", service.url.rpartition(":")[2], data=tmp_path / "two")
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
        assert "port" in refused.stderr


def test_a_database_that_does_not_answer_is_one_clear_line_without_its_password(
    tmp_path: Path,
) -> None:
    url = "postgresql://commissaire:hidden-word@127.0.0.1:1/none"
    refused = serve("--database", url, "--port", "0", data=tmp_path)
    assert refused.returncode == 1
    assert "hidden-word" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_every_request_and_every_change_is_one_json_line_with_the_request_id(
    service: Service,
) -> None:
    answer = service.client.put("/cluster/web", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["X-Request-ID"] == "mine-1"

    def lines() -> list[dict[str, object]]:
        said = [line for line in service.read_log().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in said]

    wait_for(lambda: any(line["event"] == "request" for line in lines()))
    change = next(line for line in lines() if line["event"] == "change")
    assert change["correlation"] == "mine-1"
    assert change["actor"] == "admin"
    assert change["type"] == "cluster.created"


def test_a_new_password_and_a_removed_user_count_at_once(service: Service) -> None:
    users = [sys.executable, "-m", "runners.cli", "user"]
    where = ["--users", str(service.data / "users.json")]
    with service.client_as("viewer") as client:
        assert client.get("/clusters").status_code == 200
        subprocess.run([*users, "remove", "viewer", *where], check=True, timeout=LIMIT_S)
        assert client.get("/clusters").status_code == 403
