"""Bad input, one conversation each over a socket: answered as the contract says, and no more."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.client import Client, registration
from tests.manners.bad_input import (
    HOST,
    PASSPHRASE,
    TIMEOUT_S,
    Said,
    basic,
    bodies,
    credentials,
    subjects,
)
from tests.manners.good import must_tell_nothing, position
from tests.support.service import Service


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """One that has time for many failed log-ins."""
    patience = ("--failed-logins-per-minute", "1000")
    with Service(tmp_path / "service", database_url, *patience) as running:
        yield running


def answer(service: Service, said: Said) -> tuple[int, bytes]:
    """On a connection of its own."""
    place = urlsplit(service.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=TIMEOUT_S)
    admin = basic(f"admin:{service.password}".encode())
    authorization = admin if said.authorization is None else said.authorization
    try:
        connection.putrequest(said.verb, said.target)
        connection.putheader("Authorization", authorization.encode("latin-1"))
        connection.putheader("Content-Length", str(len(said.body)))
        connection.endheaders(said.body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_bad_input_is_answered_as_the_contract_says_changes_nothing_and_tells_nothing(
    service: Service, database_url: str, tmp_path: Path
) -> None:
    client = Client(service)
    assert client.put("/cluster/web").status == 201
    before = position(service, database_url)
    conversations = [*bodies(tmp_path), *subjects(), *credentials(service.password)]
    conversations.append(Said({413}, "PUT", "/cluster/large", b" " * (2 * 1024 * 1024)))
    for said in conversations:
        status, body = answer(service, said)
        assert status in said.wanted, (said.verb, said.path, said.body[:80], status, body)
        problem = json.loads(body)
        assert problem["status"] == status
        assert problem["detail"]
        if said.path not in ("/network/other", "/containermanager/other"):
            must_tell_nothing(body.decode(), service.password, PASSPHRASE)
    assert position(service, database_url) == before
    assert client.get("/clusters") == ["web"]
    assert client.get("/hosts") == []
    must_tell_nothing(service.read_log(), service.password, PASSPHRASE)


def test_a_body_that_names_another_subject_than_its_path_does_not_override_it(
    service: Service,
) -> None:
    client = Client(service)
    assert client.put("/cluster/web", {"name": "other"}).body["name"] == "web"
    body = registration() | {"address": "10.0.0.2", "name": "10.0.0.2", "status": "active"}
    said = client.put(HOST, body).body
    assert (said["address"], said["status"]) == ("10.0.0.1", "investigating")
    assert client.get("/clusters") == ["web"]
    assert [host["address"] for host in client.get("/hosts")] == ["10.0.0.1"]
