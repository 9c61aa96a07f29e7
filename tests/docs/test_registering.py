"""The documented way for a machine to register itself works as it is written."""

import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.service import Service
from tests.web.service import new_key

DOCUMENT = (Path(__file__).parents[2] / "docs" / "registering.md").read_text()
SERVER = "https://commissaire.example"
NETRC = "/etc/commissaire/netrc"
LIMIT_S = 60


def cloud_config() -> dict[str, Any]:
    """The documented user data."""
    (found,) = re.findall(r"```yaml\n(#cloud-config\n.*?)```", DOCUMENT, re.DOTALL)
    parsed: dict[str, Any] = yaml.safe_load(found)
    return parsed


def script() -> str:
    """What the documented user data runs, once."""
    config = cloud_config()
    (path,) = config["runcmd"]
    (found,) = [file for file in config["write_files"] if file["path"] == path]
    assert found["permissions"] == "0700"
    assert found["content"].startswith("#!/bin/sh\n")
    return str(found["content"])


def run(service: Service, home: Path, user: str = "operator") -> subprocess.CompletedProcess[str]:
    """The script, as the document has it, but for where things are."""
    home.mkdir(exist_ok=True)
    netrc = home / "netrc"
    (told,) = [file["content"] for file in cloud_config()["write_files"] if file["path"] == NETRC]
    for there, here in (
        ("commissaire.example", "127.0.0.1"),
        ("login machines", f"login {user}"),
        ("CHANGE-ME", service.password),
    ):
        assert told.count(there) == 1
        told = told.replace(there, here)
    netrc.write_text(told)
    text = script()
    for there, here in ((SERVER, service.url), (NETRC, str(netrc)), ("~root", str(home))):
        assert text.count(there) == 1
        text = text.replace(there, here)
    return subprocess.run(
        ["/bin/sh"],
        input=text,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that runs."""
    with Service(tmp_path / "service") as running:
        yield running


def test_the_script_for_cloud_init_registers_the_machine_once(
    service: Service, tmp_path: Path
) -> None:
    home = tmp_path / "machine"
    ended = run(service, home)
    assert (ended.returncode, ended.stderr) == (0, "")
    record = service.client.get("/host/127.0.0.1").json()
    assert record["address"] == "127.0.0.1"
    private = service.client.get("/host/127.0.0.1/creds").json()
    assert private["remote_user"] == "root"
    # What may log in is what the service holds the key of, and the machine keeps no copy.
    public = (home / ".ssh" / "authorized_keys").read_text().split()[:2]
    assert public[0] == "ssh-ed25519"
    assert [path.name for path in home.iterdir() if path.is_dir()] == [".ssh"]
    assert [path.stat().st_mode & 0o777 for path in (home / ".ssh").iterdir()] == [0o600]


def test_where_nobody_answers_the_script_ends_and_says_so(service: Service, tmp_path: Path) -> None:
    service.stop()
    ended = run(service, tmp_path / "machine")
    assert (ended.returncode, ended.stdout) == (7, "")  # of curl: no connection
    assert "127.0.0.1" in ended.stderr


def test_a_second_machine_at_the_same_address_is_told_why_it_is_refused(
    service: Service, tmp_path: Path
) -> None:
    assert run(service, tmp_path / "first").returncode == 0
    ended = run(service, tmp_path / "second")
    assert ended.returncode != 0
    assert "another key" in ended.stdout
    assert "409" in ended.stderr


def test_the_script_needs_an_operator(service: Service, tmp_path: Path) -> None:
    ended = run(service, tmp_path / "machine", user="viewer")
    assert ended.returncode != 0
    assert "403" in ended.stderr
    assert service.client.get("/hosts").json() == []


def test_the_service_believes_the_proxies_of_its_settings(tmp_path: Path) -> None:
    body = {"ssh_priv_key": b64encode(new_key()).decode()}
    forwarded = {"X-Forwarded-For": "127.77.0.9"}
    proxies = ("--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1")
    with Service(tmp_path / "believing", None, *proxies) as service:
        answer = service.client.put("/host", json=body, headers=forwarded)
        assert answer.json()["address"] == "127.77.0.9"
    with Service(tmp_path / "doubting") as service:
        answer = service.client.put("/host", json=body, headers=forwarded)
        assert answer.json()["address"] == "127.0.0.1"
