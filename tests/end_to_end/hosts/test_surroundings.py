"""A service in poor surroundings blames no host for them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.history import first_failure
from tests.fleet import Fleet
from tests.fleet.addresses import Place, take
from tests.support.service import Service, wait_for
from tests.support.webhook_receiver import WebhookReceiver, must_be_delivered

FILES_MAX = 64
SILENT = 48
"""Hosts: each takes a file while it is waited for; half of the files are taken anyway."""
# The first one is waited for until the last one is registered, also on a busy machine.
LIMITS = ("--ssh-parallel", "64", "--ssh-connect-timeout-s", "8", "--investigation-attempts", "1")
RETRIES = ("--retry-pause-s", "1000", "--retry-pause-max-s", "1000")


class PoorService(Service):
    """A service that may open few files."""

    def command(self) -> list[str]:
        """The same under the limit."""
        return ["prlimit", f"--nofile={FILES_MAX}", *super().command()]


class NamelessService(Service):
    """A service as in a container: its uid is in no /etc/passwd, its environment empty."""

    def command(self) -> list[str]:
        """The same in a user namespace."""
        unset = [word for name in ("HOME", "LOGNAME", "USER") for word in ("-u", name)]
        return ["unshare", "--user", "--map-user=54321", "env", *unset, *super().command()]


@pytest.fixture
def there() -> Iterator[WebhookReceiver]:
    """Somebody who is told of each host."""
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def silent(fleet: Fleet) -> Iterator[list[Place]]:
    """Places, all with one port, where somebody accepts and never says a word."""
    with ExitStack() as opened:
        port = take(None, None, may_use_22=False)
        opened.callback(port.release)
        places = [take(None, port.port, may_use_22=False) for _ in range(SILENT)]
        for place in places:
            opened.callback(place.release)
            opened.enter_context(socket.create_server((place.address, place.port)))
        yield places


def test_hosts_that_there_was_no_file_for_are_looked_at_later(
    tmp_path: Path, fleet: Fleet, silent: list[Place], there: WebhookReceiver
) -> None:
    host = fleet.add("fedora")
    with PoorService(tmp_path / "service", None, *LIMITS, *RETRIES) as service:
        hook = {"url": there.url, "types": ["host.registered"]}
        assert service.client.put("/webhook/told", json=hook).status_code == 201
        began = service.client.get("/webhook/told").json()["position"]
        for place in silent:
            assert service.register(host, place.address, ssh_port=place.port).status_code == 201
        service.register(host)
        wait_for(lambda: "Too many open files" in service.read_log())
        service.wait_for_status(host.address, "disassociated")
        for place in silent:
            service.wait_for_status(place.address, "failed")
            assert "the login was not done" in first_failure(service, place.address).reason
        # Nothing that runs beside has ended of it, or stands still.
        found = service.client.get("/events?type=host.registered&limit=1000").json()
        positions = [int(each["id"]) for each in found]
        assert len(positions) == SILENT + 1
        wait_for(lambda: len({each.id for each in there.taken}) == len(positions))
        must_be_delivered(there.taken, positions)
        assert service.client.get("/webhook/told").json()["position"] > began
        ready = httpx.get(f"{service.url}/readyz")
        assert ready.status_code == 200, ready.text


def test_a_service_without_a_name_and_a_home_reaches_its_hosts(
    tmp_path: Path, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    with NamelessService(tmp_path / "service") as service:
        service.register(host)
        service.wait_for_status(host.address, "disassociated")
