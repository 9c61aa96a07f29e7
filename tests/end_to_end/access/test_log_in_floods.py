"""Thousands who do not know a password do not keep out those who do."""

import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runners.security.users import UsersFile, hash_password
from tests.support.service import WAIT_TIMEOUT_S, Service, wait_for
from web.authentication.authentication import BCRYPT_COST
from web.authentication.login_lines import Rank
from web.authentication.password_queue import WAITING_MAX

ATTEMPTS = 3_000
DELAY_S_MAX = 5.0
FLOOD_S_MAX = 90.0
HOME = "10.9.9.9"
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Behind a proxy that is trusted, with hashes as slow as those of real users."""
    found = Service(tmp_path, None, "--trusted-proxy", "127.0.0.1")
    for user in ("ada", "bob", "eve", "zoe"):
        add(found, user, "secret")
    with found:
        yield found


def add(service: Service, user: str, password: str) -> None:
    hashed = hash_password(password, BCRYPT_COST)
    UsersFile(service.data / "users.json").add(user, hashed, "viewer", replace=True)


def log_in(service: Service, user: str, password: str, address: str) -> httpx.Response:
    return httpx.get(
        f"{service.url}/api/v0/clusters",
        auth=(user, password),
        headers={"X-Forwarded-For": address},
        timeout=FLOOD_S_MAX,
    )


def waiting(service: Service) -> float:
    """How many log-ins wait."""
    answer = httpx.get(f"{service.url}/metrics", timeout=FLOOD_S_MAX)
    text = answer.raise_for_status().text
    return next(
        family.samples[0].value
        for family in text_string_to_metric_families(text)
        if family.name == "commissaire_logins_waiting"
    )


@contextmanager
def flood(service: Service, user: str, size: int) -> Iterator[list[socket.socket]]:
    """Wrong passwords for a user, each from an address of its own, whose clients wait."""
    url = httpx.URL(service.url)
    connections: list[socket.socket] = []
    try:
        for n in range(size):
            pair = b64encode(f"{user}:wrong {n}".encode()).decode()
            connection = socket.create_connection((url.host, url.port), timeout=FLOOD_S_MAX)
            connections.append(connection)
            connection.sendall(
                f"GET /api/v0/clusters HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {pair}\r\n"
                f"X-Forwarded-For: 10.1.{n // 250}.{n % 250 + 1}\r\n\r\n".encode()
            )
        yield connections
    finally:
        for connection in connections:
            connection.close()


def delay_s(service: Service, user: str, password: str, address: str) -> float:
    """How long a right log-in takes."""
    begin = time.monotonic()
    assert log_in(service, user, password, address).status_code == 200
    return time.monotonic() - begin


@pytest.mark.parametrize(
    "attacked",
    ["eve", *(pytest.param(name, marks=pytest.mark.proof) for name in ("nobody", "bob"))],
)
def test_thousands_of_attempts_from_as_many_addresses_delay_a_right_log_in_little(
    service: Service, attacked: str
) -> None:
    assert log_in(service, "ada", "secret", HOME).status_code == 200
    assert log_in(service, "bob", "secret", "10.9.9.1").status_code == 200
    with flood(service, attacked, ATTEMPTS):
        wait_for(lambda: waiting(service) > WAITING_MAX[Rank.STRANGER] * 0.9)
        add(service, "ada", "changed")
        delays = {
            "an address that is known": delay_s(service, "zoe", "secret", HOME),
            "a user who is known": delay_s(service, "ada", "changed", "10.8.8.8"),
            "the one who is attacked": delay_s(service, "eve", "secret", "10.8.8.9"),
        }
        assert max(delays.values()) < DELAY_S_MAX, delays
        busy = log_in(service, "eve", "wrong", "10.8.8.10")
        assert busy.status_code in (403, 503)


def test_a_right_log_in_in_the_middle_of_a_flood_waits_for_little_more_than_its_turn(
    service: Service,
) -> None:
    assert log_in(service, "ada", "secret", HOME).status_code == 200
    with ThreadPoolExecutor(3) as threads:
        seen = threading.Event()
        flooding = threads.submit(_flood_and_leave, service, seen)
        wait_for(lambda: waiting(service) > 100)
        seen.set()
        new = threads.submit(delay_s, service, "zoe", "secret", HOME)
        # Whoever needs no hash waits as well, for a machine that has thousands of clients.
        remembered = threads.submit(delay_s, service, "ada", "secret", HOME)
        assert new.result() - remembered.result() < DELAY_S_MAX
        flooding.result()


def _flood_and_leave(service: Service, seen: threading.Event) -> None:
    with flood(service, "eve", ATTEMPTS):
        seen.wait(WAIT_TIMEOUT_S)  # not before the test has seen them wait


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_what_clients_sent_that_have_left_is_dropped(service: Service, how: str) -> None:
    with flood(service, "eve", 500) as connections:
        wait_for(lambda: waiting(service) > 400)
        if how == "reset":
            for connection in connections:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    most = {"reset": 0, "closed": WAITING_MAX[Rank.LEAVING]}[how]
    wait_for(lambda: waiting(service) <= most, DELAY_S_MAX)
    assert delay_s(service, "zoe", "secret", "10.8.8.8") < DELAY_S_MAX


def test_a_full_queue_has_a_sentence_of_its_own(service: Service) -> None:
    with flood(service, "eve", WAITING_MAX[Rank.STRANGER] + 50) as connections:
        first = connections[1].recv(4096).decode()
    assert first.startswith("HTTP/1.1 503 ")
    assert "retry-after: 2" in first.lower()
    assert "Too many log-ins wait to be checked" in first
