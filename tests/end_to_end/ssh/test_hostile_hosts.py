"""Hosts that are silent, drip or flood in any phase of SSH: a reason for each, others go on."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from domain.aggregates.host_events import Failed
from tests.end_to_end.history import events_of, first_failure
from tests.end_to_end.ssh.hostile_hosts import ROWS, hostile_hosts
from tests.faults.fake_host import FakeHosts
from tests.fleet import new_key
from tests.support.service import Service, wait_for, waited_for_cpu_s

LIMIT_S = 2.0  # of a connection, a login, a command
ENDS_WITHIN_S = 3 * LIMIT_S + 4.0
ANSWER_S_MAX = 0.2
DELAY_S_MAX = 2.0
SILENT = 64
COPIES = 8  # of each row at once, in the long run
LIMITS = ("--ssh-connect-timeout-s", str(LIMIT_S), "--ssh-command-timeout-s", str(LIMIT_S))
ONCE = ("--investigation-attempts", "1", "--retry-pause-s", "80000", "--retry-pause-max-s", "80000")

Places = dict[str, list[tuple[str, int]]]


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """One of each."""
    with hostile_hosts() as places:
        yield places


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With short limits, that asks each host once."""
    directory = tmp_path_factory.mktemp("service")
    with Service(directory, None, *LIMITS, *ONCE) as service:
        yield service


KEY = new_key()


def host_at(address: str, port: int) -> Any:
    """As `Service.register` wants it."""
    return SimpleNamespace(address=address, port=port, user="root", private_key=KEY.private)


@contextmanager
def answering(service: Service) -> Iterator[None]:
    """In this block, `/healthz` answers within ANSWER_S_MAX, asked all the while.

    What the service and we wait for a CPU does not count: other tests run beside this one.
    """
    slowest, over = 0.0, threading.Event()

    def now() -> float:
        return time.monotonic() - waited_for_cpu_s() - waited_for_cpu_s(service.pid)

    def ask() -> None:
        nonlocal slowest
        with closing(httpx.Client(base_url=service.url, timeout=60)) as client:
            while not over.wait(0.01):
                began = now()
                assert client.get("/healthz").status_code == 200
                slowest = max(slowest, now() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
    print(f"the slowest /healthz took {slowest:.3f} s")
    assert slowest < ANSWER_S_MAX


def register(service: Service, places: list[tuple[str, int]]) -> None:
    for place in places:
        assert service.register(host_at(*place)).status_code == 201


def failure(service: Service, address: str) -> str:
    """The reason, once it has one."""
    wait_for(lambda: events_of(Failed, service, address), ENDS_WITHIN_S)
    return first_failure(service, address).reason


QUIET = [name for name, row in ROWS.items() if row.is_quiet]


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if not row.is_quiet])
def test_a_flood_is_cut_off_by_its_name_and_holds_up_nobody(
    name: str, service: Service, places: Places
) -> None:
    with answering(service):
        register(service, places[name])
        reason = failure(service, places[name][0][0])
    assert ROWS[name].is_told_by(reason), reason


def test_32_hosts_that_flood_at_once_hold_up_nobody(service: Service) -> None:
    name = "ignored, before keys"
    with hostile_hosts(32, name) as places, answering(service):
        register(service, places[name])
        reasons = {address: failure(service, address) for address, _ in places[name]}
    assert {reason for reason in reasons.values() if not ROWS[name].is_told_by(reason)} == set()


def test_silence_and_drips_end_by_the_limits_of_time(service: Service, places: Places) -> None:
    with answering(service):
        for name in QUIET:
            register(service, places[name])
        reasons = {name: failure(service, places[name][0][0]) for name in QUIET}
    assert {n: r for n, r in reasons.items() if not ROWS[n].is_told_by(r)} == {}


def test_64_silent_hosts_do_not_delay_an_ordinary_one(tmp_path: Path) -> None:
    first, second = "127.8.0.1", "127.8.0.2"
    silent = [socket.create_server((f"127.8.1.{number}", 0)) for number in range(1, SILENT + 1)]
    with (
        Service(tmp_path) as service,  # with the limits that it comes with
        closing(FakeHosts([first, second])) as hosts,
        ExitStack() as stack,
    ):

        def seconds_until_it_was_looked_at(address: str) -> float:
            began = time.monotonic()
            register(service, [(address, hosts.port)])
            service.wait_for_status(address, "disassociated")
            return time.monotonic() - began

        for listener in silent:
            stack.enter_context(listener)
        alone_s = seconds_until_it_was_looked_at(first)
        with answering(service):
            register(service, [listener.getsockname() for listener in silent])
            beside_s = seconds_until_it_was_looked_at(second)
        statuses = [host["status"] for host in service.client.get("/hosts").json()]
        assert statuses.count("investigating") == SILENT
        service.kill()
    print(f"{alone_s=:.2f} {beside_s=:.2f}")
    assert beside_s - alone_s < DELAY_S_MAX


@pytest.mark.proof
@pytest.mark.parametrize("name", ROWS)
def test_many_of_the_same_hold_up_nobody(name: str, service: Service) -> None:
    with hostile_hosts(COPIES, name) as places, answering(service):
        register(service, places[name])
        reasons = {failure(service, address) for address, _ in places[name]}
    assert {reason for reason in reasons if not ROWS[name].is_told_by(reason)} == set()
