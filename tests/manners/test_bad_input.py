"""Bad input, one conversation each over a socket: answered as the contract says, and no more."""

import base64
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from tests.faults.client import PRIVATE_KEY, Client, registration
from tests.manners.good import must_tell_nothing, position
from tests.service import Service

TIMEOUT_S = 30
PASSPHRASE = "hidden-passphrase"  # noqa: S105 - of a key that is made up here
HOST = "/host/10.0.0.1"

NO_JSON = (
    *(b"{", b"hidden", b"{'a': 1}", b'{"a": NaN}', b'{"a": 1, "a": 2}', b'{"a": "\xff"}'),
    *(b'"hidden"', b"[]", b"null", b"1", b"\x00", b'{"a": "\\ud800"}', b'{"a":' * 100_000),
    *("{}".encode("utf-16"), b"\x1f\x8b\x08\x00hidden"),
)
NAMES = (
    *("a b", "ä", "x" * 65, "..", "%2e%2e", "a%2Fb", "a%00b", "%ff", "-" * 65),
    *("a;b", "a:b", "{name}"),
)
ADDRESSES = (
    *("10.1", "0x0a000001", "010.0.0.1", "10.0.0.256", "224.0.0.1", "::", "fe80::1%25eth0"),
    *("-a.example", "a..b", "a_b", "x" * 64, "a." * 127 + "a", "10.0.0.1%2F24", "10.0.0.1:22"),
    *("ä", "%00", "%ff"),
)
WRONG_BODIES: dict[str, list[dict[str, object]]] = {
    "/cluster/other": [{"network": 1}, {"network": ["a"]}, {"container_manager": {}}],
    "/cluster/web/hosts/10.0.0.1": [],
    "/cluster/web/hosts": [{}, {"old": []}, {"old": [], "new": "a"}, {"old": [1], "new": []}],
    HOST: [{}, {"ssh_priv_key": 1}, {"ssh_priv_key": "hidden!"}, {"ssh_priv_key": "YQ"}],
    "/network/other": [{"type": 1}, {"type": "hidden"}, {"options": []}, {"options": {"a": 1}}],
    "/containermanager/other": [{}, {"type": "hidden"}, {"options": {"token": ["hidden"]}}],
    f"{HOST}/hostkey": [{}, {"fingerprint": "hidden"}, {"fingerprint": 1}],
}
WRONG_FIELDS: tuple[tuple[str, object], ...] = (
    *(("ssh_port", wrong) for wrong in (0, 65536, "22", True, 22.5, 10**30)),
    *(("remote_user", wrong) for wrong in ("", "a b", "-oProxyCommand=hidden", 7)),
    *(("cluster", wrong) for wrong in ("", "a/b", 7, ["web"])),
)
NO_KEYS = (
    *(b"hidden", b"\x00" * 100, b"-----BEGIN OPENSSH PRIVATE KEY-----\nhidden\n"),
    *(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA hidden", PRIVATE_KEY[:200], b"x" * 100_000),
)


class Said(NamedTuple):
    """A request, and the statuses that the contract has for it."""

    wanted: set[int]
    verb: str
    path: str
    body: bytes = b""
    authorization: str | None = None
    """Instead of an administrator's."""


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """One that has time for many failed log-ins."""
    patience = ("--failed-logins-per-minute", "1000")
    with Service(tmp_path / "service", database_url, *patience) as running:
        yield running


def bodies(directory: Path) -> Iterator[Said]:
    """Wrong JSON, wrong types, keys that are none or have a passphrase."""
    for path in WRONG_BODIES:
        for body in NO_JSON:
            yield Said({400}, "PUT", path, body)
        for wrong in WRONG_BODIES[path]:
            yield Said({400, 404} if "hostkey" in path else {400}, "PUT", path, encoded(wrong))
    for key, value in WRONG_FIELDS:
        yield Said({400}, "PUT", HOST, encoded(registration() | {key: value}))
    for no_key in (*NO_KEYS, *locked_keys(directory)):
        yield Said({400}, "PUT", HOST, encoded(registration(key=no_key)))


def locked_keys(directory: Path) -> Iterator[bytes]:
    """Keys with a passphrase, in both formats of OpenSSH."""
    for form in ("RFC4716", "PEM"):
        file = directory / form
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "rsa", "-m", form, "-N", PASSPHRASE, "-f", str(file)],
            check=True,
            timeout=TIMEOUT_S,
        )
        yield file.read_bytes()


def subjects() -> Iterator[Said]:
    """Absurd names and addresses; nothing can be there, so that GET is 404."""
    for name in NAMES:
        for kind in ("cluster", "network", "containermanager"):
            yield Said({400, 404}, "PUT", f"/{kind}/{name}", b'{"type": "trivial"}')
            yield Said({404}, "GET", f"/{kind}/{name}")
            yield Said({404}, "DELETE", f"/{kind}/{name}")
    for address in ADDRESSES:
        yield Said({400, 404}, "PUT", f"/host/{address}", encoded(registration()))
        yield Said({400, 404}, "PUT", f"/cluster/web/hosts/{address}")
        yield Said({404}, "GET", f"/host/{address}")
        members = encoded({"old": [], "new": [address]})
        yield Said({400}, "PUT", "/cluster/web/hosts", members)


def credentials(password: str) -> Iterator[Said]:
    """`Authorization` that is malformed or wrong."""
    right = f"admin:{password}"
    for wrong in (
        *("Basic", "Basic ", "Basic hidden!", "Basic YQ", "Bearer hidden", "Digest x", "\xff\xfe"),
        *(basic(pair) for pair in (b"admin", b":hidden", b"admin:\xff\xfe", b"admin:hid:den")),
        *(basic(pair.encode()) for pair in (f"{right}:", f"{right}\0", f"{right} ", f" {right}")),
        *(basic(pair.encode()) for pair in (f"Admin:{password}", f"admin::{password}", "::")),
        basic(right.encode()) + ", " + basic(right.encode()),
    ):
        yield Said({403}, "PUT", "/cluster/stolen", b"{}", wrong)
    yield Said({401}, "PUT", "/cluster/stolen", b"{}", "")


def basic(pair: bytes) -> str:
    """The header of a name and a password."""
    return "Basic " + base64.b64encode(pair).decode()


def encoded(body: object) -> bytes:
    """As JSON."""
    return json.dumps(body).encode()


def answer(service: Service, said: Said) -> tuple[int, bytes]:
    """On a connection of its own."""
    place = urlsplit(service.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=TIMEOUT_S)
    admin = basic(f"admin:{service.password}".encode())
    authorization = admin if said.authorization is None else said.authorization
    try:
        connection.putrequest(said.verb, quote(f"/api/v0{said.path}", safe="/%;:{}"))
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
