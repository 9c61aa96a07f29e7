"""Hosts by name: looked up by the machine's own resolver, whatever its name servers do.

The service has /etc/hosts and /etc/resolv.conf of its own, and a name server on the loopback.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from runners.ssh.connect import LOOKUPS_MAX
from tests.end_to_end.history import first_failure
from tests.fleet import Fleet, Host
from tests.fleet.addresses import Place, take
from tests.support.service import Service

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="port 53 and mounts need root")

LIMITS = ("--ssh-connect-timeout-s", "2", "--investigation-attempts", "1")
STOPPED_WITHIN_S = 10.0
PATIENCE = "options timeout:30 attempts:5\n"
"""Of the resolver: far more than ours."""
IPV6 = "::1"
GONE = b"\x04gone"
"""Part of the names that do not exist; others are not answered."""
MOUNT = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'


class NamingService(Service):
    """A service that sees files of its own in place of /etc/hosts and /etc/resolv.conf."""

    def __init__(self, directory: Path, names: str, name_server: str) -> None:
        super().__init__(directory, None, *LIMITS)
        self._hosts = directory / "hosts"
        self._hosts.write_text(f"127.0.0.1 localhost\n{names}")
        self._resolver = directory / "resolv.conf"
        self._resolver.write_text(f"nameserver {name_server}\n{PATIENCE}")

    def command(self) -> list[str]:
        """In a mount namespace, which ends with it."""
        shell = ["unshare", "--mount", "sh", "-c", MOUNT, "sh"]
        return [*shell, str(self._hosts), str(self._resolver), *super().command()]


@contextmanager
def claimed(port: int) -> Iterator[Place]:
    """An address of our own for a port."""
    place = take(None, port, may_use_22=False)
    try:
        yield place
    finally:
        place.release()


@contextmanager
def name_server() -> Iterator[str]:
    """The address of one that knows what does not exist, and has no other answer."""
    with claimed(53) as place, socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((place.address, place.port))

        def answer() -> None:
            while True:
                question, asker = server.recvfrom(512)
                if not question:
                    return
                if GONE in question:  # NXDOMAIN, RFC 1035 4.1.1
                    server.sendto(question[:2] + b"\x81\x83" + question[4:], asker)

        thread = threading.Thread(target=answer, name="name server")
        thread.start()
        try:
            yield place.address
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"", (place.address, place.port))
            thread.join()


@contextmanager
def dead_address(port: int) -> Iterator[str]:
    """An address where nobody answers at a port, as behind a firewall that drops."""
    with ExitStack() as opened:
        place = opened.enter_context(claimed(port))
        opened.enter_context(socket.create_server((place.address, port), backlog=0))
        for _ in range(4):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((place.address, port))
        yield place.address


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def host(fleet: Fleet) -> Host:
    """One host that all names are meant for."""
    return fleet.add("fedora")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Service]:
    with dead_address(host.port) as dead, name_server() as server:
        names = f"{dead} a.example\n{host.address} a.example b.example\n{dead} b.example\n"
        names += f"{IPV6} six.example\n"
        with NamingService(tmp_path_factory.mktemp("service"), names, server) as running:
            yield running


def test_of_a_name_s_addresses_a_dead_one_does_no_harm(service: Service, host: Host) -> None:
    for name in ("a.example", "b.example"):
        assert service.register(host, name).status_code == 201
    for name in ("a.example", "b.example"):
        service.wait_for_status(name, "disassociated")


def test_an_ipv6_address_and_a_name_that_has_nothing_else_lead_to_a_host(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian", address=IPV6)
    for name in (IPV6, "six.example"):
        assert service.register(host, name).json()["address"] == name
        service.wait_for_status(name, "disassociated")


def test_a_name_that_does_not_exist_is_the_reason(service: Service, host: Host) -> None:
    service.register(host, "web.gone")
    service.wait_for_status("web.gone", "failed")
    found = first_failure(service, "web.gone")
    assert found.kind == "unreachable"
    assert found.reason == "web.gone cannot be looked up: the name does not resolve."


def test_name_servers_that_hang_hold_up_neither_other_hosts_nor_the_end(
    service: Service, host: Host
) -> None:
    names = [f"{number}.example" for number in range(LOOKUPS_MAX + 4)]
    for name in names:
        service.register(host, name)
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    for name in names:
        service.wait_for_status(name, "failed")
        assert "could not be looked up within 2 s" in first_failure(service, name).reason
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < STOPPED_WITHIN_S
    service.start()
