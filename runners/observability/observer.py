"""Looks at every part of the running service, for `/readyz` and `/metrics`."""

import asyncio
from collections.abc import Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.log.writer import Writer
from projections.rebuilding.live_tables import LiveTables
from runners.database.log_watch import LogWatch
from runners.observability import fleet_metrics, metrics, readiness
from runners.observability.database_probe import DatabaseProbe
from runners.observability.metrics import Collector
from runners.observability.readiness import Check, Readiness
from runners.os_support.log_lines import ServiceLog
from runners.security.accounts import Accounts
from runners.security.vault import kept_master_key
from runners.settings.settings import Settings
from web.resources.health import Exposition, Part


class Observer:
    """What is looked at is added by whoever made it, under the name that people see."""

    def __init__(self, probe: DatabaseProbe) -> None:
        self.probe = probe
        self.checks: dict[str, Check] = {}
        self.collectors: list[Collector] = [metrics.process()]
        self._followers: dict[str, Follower] = {}

    def watch_database(self, live_tables: LiveTables, writer: Writer) -> None:
        """What is kept, and what changes it."""
        self.checks["database"] = readiness.database(self.probe, live_tables, writer)
        self.checks["writer"] = readiness.writing(writer)
        self.collectors.append(metrics.commits(writer))

    def watch_log(self, log_watch: LogWatch) -> None:
        """Whether the log is the one that was known."""
        self.checks["log"] = readiness.log(log_watch)
        self.collectors.append(metrics.continuity(log_watch.continuity))

    def watch_files(
        self, settings: Settings, accounts: Accounts, writer: Writer, lines: ServiceLog
    ) -> None:
        """The data directory, and what else is read from files."""
        self.checks["disk"] = readiness.disk(settings.data, writer)
        self.checks["users"] = readiness.users(accounts)
        self.checks["tokens"] = readiness.tokens(accounts)
        if settings.master_key is None:
            file = settings.vault_key_file
            self.checks["vault"] = readiness.master_key(file, kept_master_key(file))
        self.collectors += [metrics.space(settings.data), metrics.log_lines(lines)]

    def watch_runner(
        self, name: str, task: "asyncio.Task[None]", follower: Follower | None = None
    ) -> None:
        """A process manager, and how far it has followed the log."""
        self.checks[name] = readiness.runner(name, task, self.probe, follower)
        if follower is not None:
            self._followers[name] = follower

    def announce_stop(self) -> None:
        """The service stops in a moment."""
        self.checks["service"] = readiness.stopping

    async def parts(self) -> Sequence[Part]:
        """Every part, and whether it is ready."""
        return await Readiness(self.checks)()

    async def figures(self, accept: str) -> Exposition:
        """All figures; without those of a database that does not answer."""
        found = [metric for collect in self.collectors for metric in collect()]
        # Side by side: where the database is away, both wait for it.
        parts, of_the_database = await asyncio.gather(self.parts(), self._of_the_database())
        found += [*fleet_metrics.readiness(parts), *of_the_database]
        return await asyncio.to_thread(metrics.exposition, found, accept)

    async def _of_the_database(self) -> list[Metric]:
        up = GaugeMetricFamily("commissaire_database_up", "1 where the database answers.")
        try:
            figures = await self.probe.figures()
        except PersistenceError:
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        size = await self.probe.log_size(figures.head)
        return [
            up,
            *fleet_metrics.fleet(figures),
            *fleet_metrics.operations(figures),
            *fleet_metrics.log(figures, size, self._followers),
        ]
