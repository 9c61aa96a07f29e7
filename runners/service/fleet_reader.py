"""What the log and the vault say of hosts, for the process managers."""

from collections.abc import Collection
from typing import cast

from domain.aggregates.container_manager import ContainerManager
from domain.aggregates.host import READY, Host
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import AnyOperationEvent
from domain.aggregates.source import Source
from domain.event import Recorded
from domain.log import recorder
from domain.log.continuity import lost_with
from domain.log.follower import after
from domain.log.mapper import to_event
from domain.log.transaction import Transaction
from domain.log.unit import load
from projections import container_managers, hosts, operation_reads
from projections.beside_the_log import node_reports, outputs, update_scans
from projections.container_managers import Known, NodeChangeRow
from projections.planning import schedules
from projections.planning.schedules import Timing
from projections.reads import Reads
from runners.hosts.investigator import UNSETTLED
from runners.security.private_keys import PrivateKey, kept_private_key
from runners.security.vault import Vault


class FleetReader:
    """Reads beside the event loop; each call sees everything that was committed before it."""

    def __init__(self, reads: Reads, vault: Vault) -> None:
        self._reads = reads
        self._vault = vault
        self._operations: dict[str, Operation] = {}  # those that are not over

    async def unsettled(self) -> list[tuple[str, str]]:
        """Address and kind of failure of every host that needs a look."""
        return await self._reads.fresh(hosts.addresses, UNSETTLED)

    async def settled(self) -> list[str]:
        """The addresses of all hosts that are set up and have not failed."""
        found = await self._reads.fresh(hosts.addresses, sorted(READY))
        return [address for address, _ in found]

    async def scanned(self) -> list[tuple[str, str]]:
        """Each host that is set up, and when it last told of updates; "" where it never did."""
        return await self._reads.fresh(update_scans.scanned)

    async def occupied(self, address: str) -> bool:
        """Whether an operation works on the host."""
        return await self._reads.fresh(operation_reads.is_occupied, address)

    async def unfinished(self) -> list[str]:
        """The ids of operations that are not over."""
        return await self._reads.fresh(operation_reads.unfinished)

    async def operation(self, name: str) -> Operation:
        """One operation as the log has it now. It goes on as the log does: keep nothing of it."""
        remembered = self._operations
        known = remembered.get(name) or Operation(name)
        news = await self._reads.fresh(events_after, known.id, known.version)
        known = remembered.setdefault(name, known)
        known.follow(event for event in news if event.originator_version > known.version)
        if known.is_over or not known.version:
            del remembered[name]
        return known

    async def output(self, operation: str, address: str) -> bytes:
        """What is kept of a host's output in an operation."""
        return await self._reads.fresh(outputs.output, operation, address)

    async def sourced(self) -> list[tuple[str, str]]:
        """Address and name of the source of every host that has one."""
        return await self._reads.fresh(hosts.sourced)

    async def source(self, name: str) -> Source:
        """One source as the log has it now."""
        return await self._reads.fresh(load, Source, name)

    async def schedules(self) -> list[str]:
        """The names of all schedules."""
        return await self._reads.fresh(schedules.names)

    async def timing(self, name: str) -> Timing | None:
        """When a schedule fires; None where there is none of that name."""
        return await self._reads.fresh(schedules.timing, name)

    async def load(self, address: str) -> Host:
        """One host as the log has it now."""
        return await self._reads.fresh(load, Host, address)

    async def private_key(self, subject: str, reader: str) -> PrivateKey:
        """The key to log in with, as the runner of this name; `NoSecret` where its host is gone."""
        return await self._reads.fresh(self._reveal, subject, reader)

    async def manager(self, name: str) -> Known | None:
        """How to speak to a container manager; None where there is none of that name."""
        return await self._reads.fresh(container_managers.known, name)

    async def token(self, name: str) -> str:
        """A container manager's token; `NoSecret` where there is none."""
        return await self._reads.fresh(self._reveal_token, f"{ContainerManager.KIND}/{name}")

    async def pending_node_changes(self) -> list[tuple[str, str]]:
        """Container manager and address of all that is still to be told, the oldest first."""
        return await self._reads.fresh(container_managers.pending_node_changes)

    async def pending_node_change(self, name: str, address: str) -> NodeChangeRow | None:
        """What a container manager is to be told of a host; None where that is nothing."""
        return await self._reads.fresh(container_managers.pending_node_change, name, address)

    async def without_node_change(self) -> list[str]:
        """Members that are set up, and of which nobody told their container manager."""
        return await self._reads.fresh(container_managers.without_node_change)

    async def leaving(self) -> list[str]:
        """Container managers that are gone as soon as they were told."""
        return await self._reads.fresh(container_managers.leaving)

    async def managers_with_nodes(self) -> list[str]:
        """The names of container managers that have nodes to be asked about."""
        return await self._reads.fresh(node_reports.managers)

    async def reports(self, name: str) -> dict[str, str]:
        """The nodes of a container manager, each with what is kept of it as JSON, or ""."""
        return await self._reads.fresh(node_reports.nodes, name)

    async def lost_operations(self, names: Collection[str]) -> set[str]:
        """Those of which the log has nothing but that the database lost them."""
        return await self._reads.fresh(lost_operations, tuple(sorted(names)))

    def forget(self) -> None:
        """The log went back: what is remembered of it may never have been."""
        self._operations = {}

    async def entries_after(self, position: int) -> list[Recorded]:
        """The next entries of the log."""
        return await self._reads.fresh(after, position)

    def _reveal(self, tx: Transaction, subject: str, reader: str) -> PrivateKey:
        return kept_private_key(self._vault.reveal(tx, subject, reader))

    def _reveal_token(self, tx: Transaction, subject: str) -> str:
        return self._vault.reveal(tx, subject, "runner:registrar").decode()


def events_after(tx: Transaction, aggregate_id: str, version: int) -> list[AnyOperationEvent]:
    """The further events of an operation."""
    stored = recorder.stream(tx, aggregate_id, gt=version)
    return [cast(AnyOperationEvent, to_event(entry)) for entry in stored]


def lost_operations(tx: Transaction, names: Collection[str]) -> set[str]:
    """Operations that are nowhere but in what the log says of its losses."""
    return {
        name
        for name in names
        if not recorder.has_stream(tx, Operation(name).id) and lost_with(tx, Operation(name).id)
    }
