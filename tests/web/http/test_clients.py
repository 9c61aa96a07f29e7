"""Who asks: the peer, or whom a trusted proxy speaks for; and hosts that register themselves."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.service import FAILURES_PER_MINUTE, WebService, serving
from web.http.clients import Client, Clients

PROXY, OTHER_PROXY, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.9"
TRUSTED = Clients([ipaddress.ip_network("127.0.0.2/31"), ipaddress.ip_network("fd00::/8")])


def client_of(peer: str, *forwarded: str, clients: Clients = TRUSTED) -> Client:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    return clients.of({"type": "http", "client": (peer, 5000), "headers": headers})


@pytest.mark.parametrize("peer", [STRANGER, "::1", "192.0.2.7"])
def test_what_a_stranger_says_of_others_is_ignored(peer: str) -> None:
    assert client_of(peer, "10.0.0.1") == Client(peer)
    assert client_of(peer, "no address") == Client(peer)
    assert client_of(PROXY, "10.0.0.1", clients=Clients()) == Client(PROXY)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["10.0.0.1"], "10.0.0.1"),
        (["10.0.0.1:55555"], "10.0.0.1"),
        (["2001:DB8:0::1"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["[2001:db8::1]:443"], "2001:db8::1"),
        (["::ffff:10.0.0.1"], "10.0.0.1"),
        (["[::ffff:10.0.0.1]:1"], "10.0.0.1"),
        (["\t10.0.0.1 "], "10.0.0.1"),
        # The client may write what it likes: only what comes after it counts.
        (["10.66.6.6, 10.0.0.1"], "10.0.0.1"),
        (["<script>, 10.0.0.1"], "10.0.0.1"),
        (["10.66.6.6", "10.0.0.1"], "10.0.0.1"),
        (["10.66.6.6, 10.0.0.1", OTHER_PROXY], "10.0.0.1"),
        ([f"10.66.6.6, 10.0.0.1, {OTHER_PROXY}, ::ffff:127.0.0.2, fd00::7"], "10.0.0.1"),
        # A client that is behind nothing but proxies is the first of them.
        ([f"{OTHER_PROXY}, fd00::7"], OTHER_PROXY),
    ],
)
def test_the_right_most_that_is_no_trusted_proxy_is_the_client(
    lines: list[str], address: str
) -> None:
    assert client_of(PROXY, *lines) == Client(address)
    assert client_of(f"::ffff:{PROXY}", *lines) == Client(address)


@pytest.mark.parametrize(
    "line",
    [
        *("", " ", ",", "10.0.0.1,", "unknown", "_hidden", "unix:", "host.example", "10.0.0"),
        *("10.0.0.1:", "10.0.0.1:x", "10.0.0.1:65536", "10.0.0.1:1:2", "10.0.0.01", "0x0a000001"),
        *("[10.0.0.1]", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]x", "[[2001:db8::1]]"),
        *("[]", "[2001:db8::1]:65536", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),  # noqa: S104 - nobody listens
        *("::ffff:0.0.0.0", "10.0.0.1 10.0.0.2", "for=10.0.0.1", '"10.0.0.1"', "10.0.0.1\x85"),
        "²0.0.0.1",
    ],
)
def test_where_a_proxy_sends_no_address_nobody_is_taken_for_the_client(line: str) -> None:
    for lines, last in (([line], PROXY), ([f"{line},{OTHER_PROXY}"], OTHER_PROXY)):
        client = client_of(PROXY, *lines)
        assert client.address == last  # somebody must be counted and logged
        assert "X-Forwarded-For" in client.doubt


def test_a_proxy_that_names_nobody_is_not_taken_for_the_client() -> None:
    assert client_of(PROXY) == Client(PROXY, f"The proxy {PROXY} did not send X-Forwarded-For.")


def test_a_peer_without_an_address_is_nobody() -> None:
    assert TRUSTED.of({"type": "http", "client": None, "headers": []}) == Client("")
    assert client_of("fe80::1%eth0", "10.0.0.1") == Client("fe80::1%eth0")


# Over real sockets


@pytest.fixture
def behind(database_url: str, tmp_path: Path) -> Iterator[WebService]:
    """The service behind two proxies, on each engine in turn."""
    with serving(tmp_path, database_url, clients=TRUSTED) as running:
        yield running


def put_host(
    service: WebService,
    peer: str,
    key: str,
    *forwarded: str,
    user: str = "operator",
    path: str = "/host",
    **body: object,
) -> httpx.Response:
    """PUT /host on a connection from this loopback address."""
    transport = httpx.HTTPTransport(local_address=peer)
    with service.client(user, transport=transport) as client:
        return client.put(
            path,
            json={"ssh_priv_key": key, **body},
            headers=[("X-Forwarded-For", line) for line in forwarded],
        )


def test_a_host_registers_itself_under_the_address_that_it_comes_from(
    behind: WebService, key: str
) -> None:
    answer = put_host(behind, STRANGER, key)
    assert answer.status_code == 201
    assert list(answer.json().items())[:2] == [("address", STRANGER), ("status", "investigating")]
    with behind.client() as admin:
        assert admin.get(f"/host/{STRANGER}").json() == answer.json()
    again = put_host(behind, STRANGER, key, path="/host/")
    assert (again.status_code, again.json()) == (201, answer.json())
    assert behind.topics() == ["host.registered"]
    assert behind.events[0].event.actor == "operator"


@pytest.mark.parametrize(
    "other", ["10.0.0.1", "web1.example.org", "::1", "no address", 7, 0, False, [], {}, [STRANGER]]
)
def test_a_body_that_names_another_host_than_it_comes_from_is_400(
    behind: WebService, key: str, other: object
) -> None:
    answer = put_host(behind, STRANGER, key, address=other)
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (400, "address")
    with behind.client() as client:
        assert client.get("/hosts").json() == []


@pytest.mark.parametrize("own", [STRANGER, f"::ffff:{STRANGER}", "", None])
def test_a_body_that_names_its_own_host_or_none_registers_it(
    behind: WebService, key: str, own: object
) -> None:
    answer = put_host(behind, STRANGER, key, address=own, name="other")
    assert (answer.status_code, answer.json()["address"]) == (201, STRANGER)


def test_a_spoofed_header_registers_nobody_else(behind: WebService, key: str) -> None:
    answer = put_host(behind, STRANGER, key, "10.0.0.1", f"10.0.0.2, {PROXY}")
    assert (answer.status_code, answer.json()["address"]) == (201, STRANGER)
    assert put_host(behind, "127.0.0.8", key, "").json()["address"] == "127.0.0.8"


def test_a_trusted_proxy_registers_who_speaks_to_it(behind: WebService, key: str) -> None:
    answer = put_host(behind, PROXY, key, "10.66.6.6, 10.0.0.1", OTHER_PROXY)
    assert (answer.status_code, answer.json()["address"]) == (201, "10.0.0.1")
    other = put_host(behind, OTHER_PROXY, key, "[2001:DB8::1]:5000")
    assert (other.status_code, other.json()["address"]) == (201, "2001:db8::1")


@pytest.mark.parametrize("forwarded", [(), ("",), ("unknown",), ("10.0.0.1, unknown",)])
def test_a_proxy_that_does_not_say_who_asks_registers_nobody(
    behind: WebService, key: str, forwarded: tuple[str, ...]
) -> None:
    answer = put_host(behind, PROXY, key, *forwarded)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "PUT /api/v0/host/ADDRESS" in answer.json()["detail"]
    assert behind.topics() == []


def test_what_is_refused_for_a_host_is_refused_to_the_host_itself(
    behind: WebService, key: str
) -> None:
    assert put_host(behind, STRANGER, key, user="viewer").status_code == 403
    assert put_host(behind, STRANGER, "no key").status_code == 400
    assert put_host(behind, STRANGER, key, cluster="none").status_code == 409
    assert put_host(behind, STRANGER, key).status_code == 201
    assert put_host(behind, STRANGER, key, remote_user="ops").status_code == 409
    with behind.client() as admin:
        for verb in ("GET", "DELETE", "POST"):
            answer = admin.request(verb, "/host")
            assert (answer.status_code, answer.headers["allow"]) == (405, "PUT")
    with httpx.Client(base_url=behind.url) as stranger:
        assert stranger.put("/api/v0/host").status_code == 401


def test_the_log_names_the_client_and_not_the_proxy(behind: WebService, key: str) -> None:
    put_host(behind, PROXY, key, "10.0.0.1")
    put_host(behind, STRANGER, key, "10.0.0.1")
    put_host(behind, PROXY, key, "unknown")
    assert [line["client"] for line in behind.log if line["event"] == "request"] == [
        *("10.0.0.1", STRANGER, PROXY)
    ]


def log_in(service: WebService, peer: str, password: str, *forwarded: str) -> int:
    transport = httpx.HTTPTransport(local_address=peer)
    headers = [("X-Forwarded-For", line) for line in forwarded]
    with httpx.Client(transport=transport, auth=("admin", password)) as client:
        return client.get(f"{service.url}/api/v0/hosts", headers=headers).status_code


def test_failed_logins_are_counted_for_the_client_behind_the_proxy(behind: WebService) -> None:
    statuses = [
        log_in(behind, PROXY, f"wrong {n}", "10.0.0.1") for n in range(FAILURES_PER_MINUTE + 1)
    ]
    assert statuses == [403] * FAILURES_PER_MINUTE + [429]
    assert log_in(behind, OTHER_PROXY, "admin", "10.0.0.1") == 429
    assert log_in(behind, PROXY, "admin", "10.0.0.2") == 200


def test_a_spoofed_header_buys_no_further_attempts(behind: WebService) -> None:
    statuses = [
        log_in(behind, STRANGER, f"wrong {n}", f"10.0.0.{n}")
        for n in range(FAILURES_PER_MINUTE + 1)
    ]
    assert statuses == [403] * FAILURES_PER_MINUTE + [429]
    assert log_in(behind, "127.0.0.8", "admin", STRANGER) == 200
