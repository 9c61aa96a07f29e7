"""Many hosts at once, put into the log by a second process: ours."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from domain.aggregates.host_events import FactsGathered
from domain.commands import fleet_commands, investigation
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.commands.investigation import Subject
from domain.log.unit import Unit
from domain.log.writer import Writer
from runners.security.vault import Vault, master_key
from tests.faults.client import PRIVATE_KEY, address
from tests.faults.models.whole import database_of
from tests.support.service import Service
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store

FACTS = FactsGathered(
    "debian", "12", 2, 2_000_000, 8_000_000, "00000000-0000-0000-0000-000000000001"
)
HOSTS_PER_COMMAND = 100


@contextmanager
def maintenance(service: Service, database_url: str) -> Iterator[tuple[Writer, Vault]]:
    """A writer beside the service's own, as a maintenance command has it, and the vault."""
    with ExitStack() as opened:
        store = Store(database_of(service, database_url), opened)
        vault = Vault(master_key(None, service.data / "master.key"))
        with store.writer() as writer:
            yield writer, vault


def populate(
    service: Service, database_url: str, cluster: str, count: int, *, crowd: int = 1
) -> list[str]:
    """Make `count` hosts active members of a cluster; gives their addresses."""
    addresses = [address(crowd, number) for number in range(count)]
    with maintenance(service, database_url) as (writer, vault):

        def some(unit: Unit, hosts: list[str]) -> None:
            for host in hosts:
                become_active(unit, vault, host, cluster)

        for start in range(0, count, HOSTS_PER_COMMAND):
            hosts = addresses[start : start + HOSTS_PER_COMMAND]
            writer.submit(ACT, partial(some, hosts=hosts)).result(WAIT_TIMEOUT_S)
    return addresses


def become_active(unit: Unit, vault: Vault, host: str, cluster: str | None) -> None:
    """Register a host, and have it set up as if it had been looked at."""
    request = HostRequest(OfferedKey(PRIVATE_KEY, lambda raw: "SHA256:of-a-test"), cluster)
    fleet_commands.register_host(unit, vault, host, request)
    investigation.settle(unit, Subject(host, unit.host(host).incarnation), FACTS)
