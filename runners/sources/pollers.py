"""The sources of the settings: a poller for each, which follow the log together."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from domain.aggregates import host_events as events
from domain.event import Recorded
from domain.log.follower import Follower
from domain.log.writer import Writer
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.process_manager import retry_until_available
from runners.scheduling.protocols import ServiceLogWrite
from runners.sources.plugins import ConfiguredSource
from runners.sources.poller import STOP_TIMEOUT_S, Hosts, SourcePoller, Tally


class SourcePollers:
    """A process manager made of one for each source.

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
        self._pollers = {
            one.name: SourcePoller(
                one, writer, hosts, now=now, chance=chance, log=log, ownership=ownership
            )
            for one in configured
        }
        self._unknown: set[str] = set()
        """Names of sources that hosts have and the settings do not."""

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """The counts of each source."""
        return {name: poller.tally for name, poller in self._pollers.items()}

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with AsyncExitStack() as stack:
            for poller in self._pollers.values():
                await stack.enter_async_context(poller.running())
            subscription = self._ownership.subscribe(self._report_unknown, lambda _: None)
            await stack.enter_async_context(subscription)
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no question, and wait a moment for those that are nearly answered."""
        timeout_s = min(timeout_s, STOP_TIMEOUT_S)
        async with asyncio.TaskGroup() as group:
            for poller in self._pollers.values():
                group.create_task(poller.stop(timeout_s))

    def _notice(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, events.Registered) and event.source:
            self._report_if_unknown(event.source, event.originator_id.partition("/")[2])
        for poller in self._pollers.values():
            poller.notice(recorded)

    async def _report_unknown(self, shards: ShardSet) -> None:
        for address, name in await retry_until_available(self._hosts.sourced):
            if f"source/{name}" in shards:
                self._report_if_unknown(name, address)

    def _report_if_unknown(self, name: str, address: str) -> None:
        """One line for a source that was taken out of the settings: its last facts stay."""
        is_known = name in self._pollers or name in self._unknown
        if not is_known and self._ownership.holds(f"source/{name}"):
            self._log("source.unknown", "warning", source=name, host=address)
            self._unknown.add(name)
