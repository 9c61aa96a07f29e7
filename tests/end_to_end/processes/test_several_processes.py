"""Three services share one PostgreSQL; one after the other is killed, frozen, or cut off."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

import pytest

from runners.leases.ownership import SHARDS
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import OVER, Rolled, outcomes, reboots, upgrades
from tests.end_to_end.processes.several import figure, held, several, until_held
from tests.faults.proxy import Proxy
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

Fault = Literal["killed", "frozen", "cut off", "silenced"]

SYSTEMS = ("fedora", "debian", "centos", "atomic")
LEASE_S = 3.0
FAULTS: tuple[Fault, ...] = get_args(Fault)
FAULT_S = 2.5 * LEASE_S
"""A fault lasts so long at most: some end before the lease does, and some long after."""
REST_S = 1.0
ROUNDS_MAX = 100
PACKAGE_S = 1.0

PROCESSES = 3


class Site:
    """Three services, each with a way of its own to the database."""

    def __init__(self, services: Sequence[Service], proxies: Sequence[Proxy]) -> None:
        self.services = services
        self.proxies = proxies

    @contextmanager
    def fault(self, kind: Fault, number: int) -> Iterator[None]:
        """One of the services has a fault while the block runs."""
        service, proxy = self.services[number], self.proxies[number]
        match kind:
            case "killed":
                service.kill()
                yield
                service.start()
            case "frozen":
                service.send(signal.SIGSTOP)
                yield
                service.send(signal.SIGCONT)
            case "cut off":
                proxy.cut()
                yield
                proxy.mend()
            case "silenced":
                proxy.freeze()
                yield
                proxy.thaw()


@contextmanager
def site(directory: Path, database_url: str) -> Iterator[Site]:
    """The services, all started."""
    flags = (*QUICK, "--lease-s", str(LEASE_S), "--check-interval", "5")
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    with ExitStack() as stack:
        proxies = [Proxy(parts.hostname, parts.port) for _ in range(PROCESSES)]
        for proxy in proxies:
            stack.callback(proxy.close)
        urls = [database_url.replace(f":{parts.port}/", f":{proxy.port}/") for proxy in proxies]
        services = stack.enter_context(several(PROCESSES, directory, urls, *flags))
        yield Site(services, proxies)


def until_over(site: Site, rolled: Rolled, chance: random.Random) -> Counter[Fault]:
    """One fault after the other until the operation is over; how many of each there were."""
    faults: Counter[Fault] = Counter()
    for number in range(ROUNDS_MAX):
        victim, kind = chance.randrange(PROCESSES), FAULTS[number % len(FAULTS)]
        rolled.service = site.services[(victim + 1) % PROCESSES]
        with site.fault(kind, victim):
            faults[kind] += 1
            if until_or(chance.uniform(0, FAULT_S), rolled):
                break
        if until_or(chance.uniform(0, REST_S), rolled):
            break
    assert rolled.record["status"] == "finished", rolled.record
    return faults


def until_or(seconds: float, rolled: Rolled) -> bool:
    """Whether the operation is over within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if rolled.record["status"] in OVER:
            return True
        time.sleep(0.1)
    return False


def roll_on(size: int, seed: int, directory: Path, database_url: str, fleet: Fleet) -> None:
    """An upgrade and a restart of so many hosts, and faults all the while."""
    chance = random.Random(seed)
    hosts = fleet.add_many([SYSTEMS[number % len(SYSTEMS)] for number in range(size)])
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with site(directory, database_url) as running:
        rolled = Rolled(running.services[0], hosts)
        rolled.begin("upgrade", max_parallel="25%")
        faults = until_over(running, rolled, chance)
        rolled.begin("restart", max_parallel="25%")
        faults += until_over(running, rolled, chance)
        assert len(faults) > 1, f"too few faults for this to prove anything: {faults}"
        assert outcomes(rolled.record) == ["done"] * size
        wait_for(lambda: sum(map(held, running.services)) == SHARDS)
    assert [upgrades(host) for host in hosts] == [1] * size
    assert [reboots(host) for host in hosts] == [1] * size


@pytest.mark.parametrize("seed", [1])
def test_whatever_befalls_one_of_three_each_host_is_upgraded_and_rebooted_once(
    seed: int, tmp_path: Path, postgres_url: str, fleet: Fleet
) -> None:
    roll_on(4, seed, tmp_path / "site", postgres_url, fleet)


@pytest.mark.proof
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_whatever_befalls_one_of_three_each_of_20_hosts_is_upgraded_and_rebooted_once(
    seed: int, tmp_path: Path, postgres_url: str, fleet: Fleet
) -> None:
    roll_on(20, seed, tmp_path / "site", postgres_url, fleet)


def test_work_is_shared_and_goes_to_those_that_are_left(
    tmp_path: Path, postgres_url: str, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora"] * 6)
    with site(tmp_path / "site", postgres_url) as running:
        first, second, third = running.services
        for service in running.services:
            until_held(service, SHARDS // 3, SHARDS // 3 + 1)
        for host in hosts:
            assert first.register(host).status_code == 201
        for host in hosts:
            third.wait_for_status(host.address, "disassociated")
        assert sum(figure(s, "commissaire_ssh_sessions_total") for s in running.services) >= 6
        second.stop()  # which hands over at once
        until_held(first, SHARDS // 2)
        until_held(third, SHARDS // 2)
        third.send(signal.SIGSTOP)
        until_held(first, SHARDS)
        third.send(signal.SIGCONT)
        until_held(third, SHARDS // 2)
        assert figure(third, "commissaire_leases_lost_total") >= SHARDS // 2
        assert figure(first, "commissaire_leases_taken_over_total") >= SHARDS // 2


def test_a_process_without_runners_leaves_hosts_to_others_and_one_with_nothing_else_no_api(
    tmp_path: Path, postgres_url: str, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    with (
        several(1, tmp_path / "api", [postgres_url], "--no-runners", key=b"k" * 32) as (api,),
        several(1, tmp_path / "work", [postgres_url], "--runners-only", key=b"k" * 32) as (work,),
    ):
        assert api.register(host).status_code == 201
        api.wait_for_status(host.address, "disassociated")
        refused = work.client.get("/hosts")
        assert (refused.status_code, refused.headers["retry-after"] != "") == (503, True)
        assert "hosts alone" in refused.json()["detail"]
        assert work.client.get(f"{work.url}/readyz").json()["status"] == "ready"
        assert "leases" not in api.client.get(f"{api.url}/readyz").text
        assert held(work) == SHARDS
        assert figure(api, "commissaire_ssh_sessions_total") == 0
