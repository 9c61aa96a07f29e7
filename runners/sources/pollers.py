"""Asks sources about the hosts that they own, now and again, and never while a client waits.

The log is the memory: which hosts have a source, and what it said last, is read from there. A
question only reads, so one that was cut short is simply asked again.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from domain import host as events
from domain.event import Recorded
from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.log.writer import Writer
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.protocols import ServiceLogWrite
from runners.sources.plugins import ConfiguredSource
from runners.sources.poller import LOG_RETRY_S, STOP_TIMEOUT_S, Asker, Hosts, Tally


class Sources:
    """The process manager: an asker for each source of the settings, and hosts shared out.

    One process asks a source about all of its hosts, so that one knows whether it is stale.
    """

    def __init__(
        self,
        configured: Sequence[ConfiguredSource],
        writer: Writer,
        hosts: Hosts,
        *,
        now: Callable[[], str],
        chance: random.Random,
        log: ServiceLogWrite,
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._hosts = hosts
        self._log = log
        self._ownership = ownership
        self._askers = {
            one.name: Asker(
                one, writer, hosts, now=now, chance=chance, log=log, ownership=ownership
            )
            for one in configured
        }
        self._owner: dict[str, str] = {}  # by address: the name of the source
        self._unknown: set[str] = set()  # names that hosts have and the settings do not

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """How it goes with each source."""
        return {name: asker.tally for name, asker in self._askers.items()}

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with AsyncExitStack() as stack:
            for asker in self._askers.values():
                stack.push_async_callback(asker.aclose)
                await stack.enter_async_context(asker.queue.running())
            await stack.enter_async_context(self._ownership.subscribe(self._take_over, self._drop))
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no question, and let those that are nearly answered come to an end."""
        timeout_s = min(timeout_s, STOP_TIMEOUT_S)
        async with asyncio.TaskGroup() as group:
            for asker in self._askers.values():
                group.create_task(asker.queue.drain(timeout_s))

    async def _take_over(self, shards: ShardSet) -> None:
        ours = [asker for asker in self._askers.values() if asker.key in shards]
        for address, name in await self._known(ours):
            if f"source/{name}" in shards:
                self._take(address, name)

    async def _known(self, askers: Sequence[Asker]) -> list[tuple[str, str]]:
        while True:
            try:
                for asker in askers:
                    await asker.start()
                return await self._hosts.sourced()
            except PersistenceError:
                await asyncio.sleep(LOG_RETRY_S)

    def _drop(self, shards: ShardSet) -> None:
        for asker in self._askers.values():
            if asker.key in shards:
                asker.drop()
        self._owner = {
            address: name for address, name in self._owner.items() if f"source/{name}" not in shards
        }

    def _notice(self, recorded: Recorded) -> None:
        address = recorded.event.originator_id.partition("/")[2]
        match recorded.event:
            case events.Registered(source=name) if name:
                self._take(address, name)
            case events.Removed():
                name = self._owner.pop(address, "")
                if name:
                    self._askers[name].forget(address)
            case _:
                pass  # nothing that calls for a question

    def _take(self, address: str, name: str) -> None:
        if not self._ownership.holds(f"source/{name}"):
            return
        asker = self._askers.get(name)
        if asker is None:  # taken out of the settings: what it said last stays
            if name not in self._unknown:  # one line, though it may have had thousands
                self._log("source.unknown", "warning", source=name, host=address)
                self._unknown.add(name)
        elif address not in self._owner:
            self._owner[address] = name
            asker.take(address)
