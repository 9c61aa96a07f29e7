"""A fleet of any size in a service that runs no runner: what pages have to show, hosts or not.

`python -m tests.web.console.fleet 1000` serves one until it is interrupted, and says where.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from domain.aggregates.host_events import FactsGathered, FailureKind
from domain.commands import fleet_commands, investigation, operation_commands
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.commands.investigation import Subject
from domain.event import Act
from domain.log.recorder import now
from domain.log.unit import Unit
from projections.beside_the_log import webhook_deliveries
from projections.beside_the_log.webhook_deliveries import Attempt, Cursor
from tests.web.service import TIMEOUT_S, WebService, new_key, serving

SYSTEMS = ("fedora", "debian", "centos")
CLUSTERS = ("web", "db", "cache")
FAILURES: tuple[tuple[FailureKind, str], ...] = (
    ("unreachable", "Nothing answers at port 22: connection refused."),
    ("sudo", "sudo asks ops for a password."),
    ("authentication", "The host refused the key."),
)
EVERY_FAILED = 9
AT_ONCE = 512
"""So many commands are under way while the fleet is made."""


def address(number: int) -> str:
    """The address of a host of the fleet."""
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def seed(service: WebService, count: int, together: int = 1) -> list[str]:
    """So many hosts in three clusters: one in nine has failed, all have labels.

    `together`: so much happens at once; a large fleet is made faster.
    """
    key = new_key()
    offered = OfferedKey(key, lambda raw: "SHA256:" + "k" * 43)
    addresses = [address(number) for number in range(1, count + 1)]
    commands: Iterator[Callable[[Unit], Any]] = chain(
        (partial(_create, name=name) for name in CLUSTERS),
        *(_lives(service, number, host, offered) for number, host in enumerate(addresses)),
    )
    batches: Iterator[Callable[[Unit], Any]] = (
        partial(_all, commands=some) for some in iter(lambda: list(islice(commands, together)), [])
    )
    while some := list(islice(batches, AT_ONCE)):
        act = Act("runner:test", "test", now())
        for future in [service.writer.submit(act, command) for command in some]:
            future.result(TIMEOUT_S)
    return addresses


def _all(unit: Unit, commands: list[Callable[[Unit], Any]]) -> None:
    for command in commands:
        command(unit)


def _lives(
    service: WebService, number: int, host: str, offered: OfferedKey
) -> Iterator[Callable[[Unit], Any]]:
    """What happens to a host of the fleet."""
    yield partial(_register, service=service, host=host, offered=offered)
    facts = FactsGathered(SYSTEMS[number % len(SYSTEMS)], "40", 4, 11989228, 487652, "boot")
    yield lambda unit: investigation.settle(unit, subject(unit, host), facts)
    yield partial(_place, host=host, number=number)
    if number % EVERY_FAILED == EVERY_FAILED - 1:
        kind, reason = FAILURES[number // EVERY_FAILED % len(FAILURES)]
        yield lambda unit: investigation.fail(unit, subject(unit, host), kind, reason)


def upgrade(service: WebService, cluster: str, done: int, broken: int) -> str:
    """An operation that has got so far: some hosts are done, the next are not to be."""
    with service.client() as api:
        body = {"max_parallel": 8, "max_failures": broken + 1}
        begun = api.put(f"/cluster/{cluster}/upgrade", json=body)
        begun.raise_for_status()
        found = api.get(f"/operations?cluster={cluster}&limit=1").json()
    name = str(found[0]["id"])
    for number in range(done + broken):
        turn(service, name, is_broken=number >= done)
    return name


def plan(service: WebService) -> str:
    """What happens later, and elsewhere; gives an operation whose first wave is over, and whose
    second one somebody has to approve.
    """
    limits = {"max_unavailable": "60%", "window": "nights"}
    window = {"zone": "Europe/Berlin", "starts": "0 22 * * 1-5", "duration_s": 21600}
    operation = {"kind": "upgrade", "cluster": "db", "window": "nights", "reboot": "if_needed"}
    schedule = {"cron": "0 2 * * 0", "zone": "Europe/Berlin", "operation": operation}
    hook = {"url": "https://chat.example/hooks/made-up", "types": ["operation.*"], "form": "text"}
    waves = [{"hosts": 1, "approval": True}, {"hosts": "50%", "soak_s": 600}]
    rolls = {"kind": "restart", "cluster": "cache", "waves": waves}
    with service.client() as api:
        api.put("/window/nights", json=window).raise_for_status()
        api.put("/schedule/sundays", json=schedule).raise_for_status()
        api.put("/webhook/chat", json=hook).raise_for_status()
        begun = api.post("/operations", json=rolls).raise_for_status().json()
        turn(service, begun["id"])  # before its cluster waits for the night
        api.put("/cluster/web/policy", json={"gate": "alerts"}).raise_for_status()
        api.put("/cluster/cache/policy", json=limits).raise_for_status()
    created = service.topics().index("webhook.created")
    service.perform(partial(_deliver, begun=service.events[created].position))
    last = [each for each in begun["hosts"] if each["outcome"] == "waiting"][-1]["address"]
    client = "c988d2509fdf5cdcbed39037c886b7c9"
    service.perform(lambda unit: unit.cluster("cache").take_lock(last, client))
    return str(begun["id"])


def hold(service: WebService, cluster: str) -> str:
    """An operation that waits, as its gate says no."""
    body = {"kind": "upgrade", "cluster": cluster, "gate": "alerts"}
    with service.client() as api:
        begun = api.post("/operations", json=body).raise_for_status().json()
    name, said = str(begun["id"]), {"alerts": "alerts fire: DiskFull"}
    service.perform(partial(operation_commands.advance, name=name, verdicts=said))
    return name


def _deliver(unit: Unit, begun: int) -> None:
    """One message has arrived at the webhook, and the next one has not."""
    cursor = Cursor("chat", begun, begun, 1)
    well = Attempt(now(), begun, "operation.started", "operation/made-up", 204, 12, "")
    fails = cursor._replace(attempts=2, failures=1, failing_since=now(), reason="It answered 503.")
    ill = well._replace(status=503, reason=fails.reason, type="operation.ended")
    unit.write_beside(partial(webhook_deliveries.move, to=cursor, attempt=well))
    unit.write_beside(partial(webhook_deliveries.move, to=fails, attempt=ill))


def turn(service: WebService, name: str, *, is_broken: bool = False) -> None:
    """A host of an operation is done, or is not to be, and the next has its turn."""
    service.perform(partial(_turn, name=name, is_broken=is_broken))


def _turn(unit: Unit, name: str, is_broken: bool) -> None:
    operation_commands.advance(unit, name)
    operation = unit.operation(name)
    host = operation.with_outcome("in_process")[0]
    step = operation.hosts[host].step
    if is_broken:
        reason = "The package manager ended with 1: no space left on device."
        operation_commands.fail_host(unit, name, host, step, reason, {"exit_status": 1})
    else:
        operation_commands.finish_step(unit, name, host, step, {"exit_status": 0})


def subject(unit: Unit, host: str) -> Subject:
    """A host as whoever looked at it means it."""
    return Subject(host, unit.host(host).incarnation)


def _create(unit: Unit, name: str) -> None:
    fleet_commands.create_cluster(unit, name, "default", "")


def _register(unit: Unit, service: WebService, host: str, offered: OfferedKey) -> None:
    fleet_commands.register_host(unit, service.vault, host, HostRequest(offered))


def _place(unit: Unit, host: str, number: int) -> None:
    fleet_commands.join(unit, CLUSTERS[number % 5 % len(CLUSTERS)], host)
    unit.host(host).change_labels({"role": ("front", "back")[number % 2], "rack": str(number % 7)})


def main() -> None:
    """Serve a fleet of the size of the first argument."""
    with TemporaryDirectory() as directory, serving(Path(directory)) as service:
        seed(service, int(sys.argv[1]))
        with service.client() as api:
            begun = api.put("/cluster/web/restart", json={"max_parallel": 2})
            begun.raise_for_status()
        print(service.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
