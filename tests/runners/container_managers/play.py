"""A registrar on a store, and a fleet whose hosts are set up as soon as they are registered."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from domain.aggregates.container_manager import ContainerManager, container_manager_request
from domain.aggregates.host import Host
from domain.commands import fleet_commands, investigation
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.commands.investigation import Subject
from domain.event import Event, Recorded
from domain.log.follower import Follower
from domain.log.mapper import to_event
from domain.log.recorder import entries, head
from domain.log.unit import Unit, load
from domain.log.writer import Writer
from projections import container_managers
from projections.reads import reads
from runners.container_managers.connections import ContainerManagers
from runners.container_managers.node_registrar import NodeRegistrar
from runners.leases.ownership import SINGLE_PROCESS, Ownership
from runners.scheduling.backoff import Pauses
from runners.security.vault import Vault
from runners.service.fleet_reader import FleetReader
from tests.runners.container_managers.server import ApiServer
from tests.runners.stage import ALICE, FACTS, NOW
from tests.support.stores import Store

QUICK = Pauses(0.02, 0.1)


class Play:
    """The process manager between `opened` and the end of the context, which is like a crash."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.vault = Vault(b"k" * 32)
        self.lines: list[dict[str, object]] = []
        self.defects: list[Exception] = []
        self._writer: Writer | None = None

    @asynccontextmanager
    async def opened(
        self, *, told: bool = True, ownership: Ownership = SINGLE_PROCESS
    ) -> AsyncIterator["Play"]:
        """Start at what the log says now. Unless `told`, nobody tells container managers."""
        engine = self.store.engine
        self.vault.open(engine)
        answers = reads(engine)
        known = self.known = FleetReader(answers, self.vault)
        with engine.snapshot() as tx:
            follower = Follower(head(tx).position, known.entries_after)
        loop = asyncio.get_running_loop()

        def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
            loop.call_soon_threadsafe(follower.push, previous, recorded)

        with self.store.writer(engine, on_commit=on_commit) as writer:
            self._writer = writer
            self.managers = ContainerManagers(known)
            self.registrar = NodeRegistrar(
                writer,
                self.vault,
                known,
                self.managers,
                now=lambda: NOW,
                chance=random.Random(1),
                log=self._note,
                on_defect=lambda _, defect: self.defects.append(defect),
                ownership=ownership,
            )
            running = asyncio.create_task(
                self.registrar.run(follower) if told else asyncio.Event().wait()
            )
            try:
                yield self
            finally:
                running.cancel()
                await asyncio.wait((running,))
                await self.managers.aclose()
                answers.close()
        assert not self.defects

    def _note(self, event: str, /, level: str = "info", **fields: object) -> None:
        self.lines.append({"event": event, "level": level, **fields})

    @property
    def writer(self) -> Writer:
        """Of the log."""
        assert self._writer is not None
        return self._writer

    async def do(self, command: Callable[[Unit], Any]) -> Any:
        """Carry out a command as an operator."""
        return await self.writer.perform(ALICE, command)

    async def manage(self, server: ApiServer, name: str = "prod", cluster: str = "web") -> None:
        """A cluster with a container manager."""
        options: dict[str, object] = {"server_url": server.url}
        if server.token:
            options["token"] = server.token
        if server.authority is not None:
            options["ca_path"] = str(server.authority.file)
        wanted = container_manager_request("kubernetes", options)
        await self.do(
            lambda unit: fleet_commands.create_container_manager(unit, self.vault, name, wanted)
        )
        await self.do(lambda unit: fleet_commands.create_cluster(unit, cluster, "default", name))

    async def member(self, address: str, cluster: str = "web") -> None:
        """A host that is set up, in a cluster."""
        asked = HostRequest(OfferedKey(b"key", lambda _: "SHA256:key"), cluster)
        await self.do(lambda unit: fleet_commands.register_host(unit, self.vault, address, asked))
        subject = Subject(address, self.host(address).incarnation)
        await self.do(lambda unit: investigation.settle(unit, subject, FACTS))

    async def remove_manager(self, name: str = "prod") -> None:
        """As DELETE does."""
        await self.do(lambda unit: fleet_commands.remove_container_manager(unit, self.vault, name))

    def host(self, address: str) -> Host:
        """A host as the log has it now."""
        with self.store.engine.snapshot() as tx:
            return load(tx, Host, address)

    def manager(self, name: str = "prod") -> ContainerManager:
        """A container manager as the log has it now."""
        with self.store.engine.snapshot() as tx:
            return load(tx, ContainerManager, name)

    def pending_node_changes(self) -> list[tuple[str, str]]:
        """What is still to be told."""
        with self.store.engine.snapshot() as tx:
            return container_managers.pending_node_changes(tx)

    def log(self) -> list[Event]:
        """All events."""
        with self.store.engine.snapshot() as tx:
            return [to_event(entry.stored) for entry in entries(tx, 0, 10_000)]

    def told(self, event: str) -> list[dict[str, object]]:
        """Lines of the service's log about this."""
        return [line for line in self.lines if line["event"] == event]
