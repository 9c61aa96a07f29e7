"""`/host/{address}/creds` and `/host/{address}/hostkey`."""

from base64 import b64encode
from hashlib import sha256

import httpx
import pytest

from domain.commands import investigation
from domain.commands.investigation import Subject
from tests.web.service import WebService

ADDRESS = "10.0.0.1"


def fingerprint(of: str) -> str:
    """As ssh-keygen shows it."""
    return "SHA256:" + b64encode(sha256(of.encode()).digest()).decode().rstrip("=")


def subject(service: WebService) -> Subject:
    """The host as it is registered now."""
    return Subject(ADDRESS, service.perform(lambda unit: unit.host(ADDRESS).incarnation))


def pin(service: WebService, key: str) -> None:
    """First contact."""
    seen = subject(service)
    service.perform(lambda unit: investigation.pin_key(unit, seen, "ssh-ed25519", key))


def refuse(service: WebService, key: str) -> None:
    """The host shows another key."""
    seen = subject(service)
    service.perform(lambda unit: investigation.refuse_key(unit, seen, key, "another key"))


def test_an_administrator_reads_credentials_and_the_log_says_so(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put(f"/host/{ADDRESS}", json={"ssh_priv_key": key, "remote_user": "fedora"})
    answer = api.get(f"/host/{ADDRESS}/creds", headers={"X-Request-ID": "why-1"})
    assert answer.status_code == 200
    assert list(answer.json()) == ["ssh_priv_key", "remote_user"]
    assert answer.json() == {"ssh_priv_key": key, "remote_user": "fedora"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    event = service.events[-1].event
    assert (event.TOPIC, event.actor, event.correlation) == (
        "host.credentials_read",
        "admin",
        "why-1",
    )
    assert api.get(f"/host/{ADDRESS}/creds", headers={"If-None-Match": "*"}).status_code == 200
    assert service.topics().count("host.credentials_read") == 2


def test_nobody_else_reads_credentials_and_nothing_is_told(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put(f"/host/{ADDRESS}", json={"ssh_priv_key": key})
    for user in ("viewer", "operator"):
        with service.client(user) as client:
            for path in ("creds", "hostkey"):
                assert client.get(f"/host/{ADDRESS}/{path}").status_code == 403
    assert service.topics() == ["host.registered"]


def test_credentials_of_a_host_that_is_not_there_are_404(api: httpx.Client) -> None:
    assert api.get(f"/host/{ADDRESS}/creds").status_code == 404


def test_the_host_key_is_shown_approved_and_forgotten(
    service: WebService, api: httpx.Client, key: str
) -> None:
    path = f"/host/{ADDRESS}/hostkey"
    api.put(f"/host/{ADDRESS}", json={"ssh_priv_key": key})
    assert api.get(path).json() == {"fingerprint": None, "refused": None}
    old, new = fingerprint("old"), fingerprint("new")
    pin(service, old)
    refuse(service, new)
    shown = api.get(path)
    assert shown.status_code == 200
    assert shown.json() == {"fingerprint": old, "refused": new}
    tag = shown.headers["ETag"]
    assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    for _ in range(2):
        approved = api.put(path, json={"fingerprint": new})
        assert approved.status_code == 201
        assert approved.json() == {"fingerprint": new, "refused": None}
    assert service.topics().count("host.key_approved") == 1
    assert service.events[-1].event.actor == "admin"
    for _ in range(2):
        forgotten = api.delete(path)
        assert (forgotten.status_code, forgotten.json()) == (200, [])
    assert service.topics().count("host.key_forgotten") == 1
    assert api.get(path).json() == {"fingerprint": None, "refused": None}


def test_the_host_key_of_a_host_that_is_not_there_is_404(api: httpx.Client) -> None:
    path = f"/host/{ADDRESS}/hostkey"
    assert api.get(path).status_code == 404
    assert api.put(path, json={"fingerprint": fingerprint("any")}).status_code == 404
    assert api.delete(path).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [None, 1, "", "SHA256:", "MD5:" + "00:" * 16, fingerprint("x")[:-1], fingerprint("x") + "\n"],
)
def test_what_is_no_fingerprint_is_400(client: httpx.Client, key: str, wrong: object) -> None:
    client.put("/host/10.7.7.7", json={"ssh_priv_key": key})
    answer = client.put("/host/10.7.7.7/hostkey", json={"fingerprint": wrong})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["key"] == "fingerprint"
