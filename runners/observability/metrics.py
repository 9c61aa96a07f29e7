"""Every figure of the service, under the name that Prometheus knows it by.

The parts count plain numbers; they get their names here, when somebody asks. So counting costs
next to nothing, and what is not asked for costs nothing.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder

from domain.log.continuity import Continuity
from domain.log.writer import BATCH_COMMANDS_MAX, Writer
from runners.container_managers.node_registrar import NodeRegistrar
from runners.http_server.server import Server
from runners.leases.ownership import Ownership
from runners.os_support.log_lines import ServiceLog
from runners.sources.pollers import SourcePollers
from runners.ssh.client import Ssh
from runners.webhooks.sender import WebhookSender
from web.authentication.password_queue import PasswordQueue
from web.events.live_window import EventWindow
from web.http.request_counts import SECONDS_BOUNDS, Durations, RequestCounts
from web.resources.health import Exposition

Collector = Callable[[], Iterable[Metric]]

COMMIT_BOUNDS = (1, 2, 4, 8, 16, 32, 64, BATCH_COMMANDS_MAX)
"""Upper bounds of the buckets of commands that share a commit."""


class Collected:
    """Metrics that were collected already, as the library's encoders want them."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._metrics


def exposition(metrics: Sequence[Metric], accept: str) -> Exposition:
    """The text of metrics; OpenMetrics where `Accept` has it."""
    encode, content_type = choose_encoder(accept)
    return Exposition(encode(Collected(metrics)), content_type)


def process() -> Collector:
    """Memory, processor time, and open files."""
    return ProcessCollector(registry=None).collect


def http(request_counts: RequestCounts, queue: PasswordQueue) -> Collector:
    """Requests, and log-ins that wait or were refused."""

    def collect() -> Iterable[Metric]:
        total = CounterMetricFamily(
            "commissaire_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        by_route: dict[tuple[str, str], list[Durations]] = defaultdict(list)
        for (route, method, status), durations in request_counts.requests.items():
            total.add_metric((method, route, str(status)), durations.count)
            by_route[method, route].append(durations)
        yield total
        yield _durations(by_route)
        refused = CounterMetricFamily(
            "commissaire_logins_refused",
            "Requests without the right credentials, by what was wrong with them.",
            labels=("reason",),
        )
        for reason, count in request_counts.refused_logins.items():
            refused.add_metric((reason,), count)
        yield refused
        yield GaugeMetricFamily(
            "commissaire_logins_waiting", "Log-ins that wait to be checked.", queue.waiting
        )

    return collect


def _durations(by_route: Mapping[tuple[str, str], Sequence[Durations]]) -> Metric:
    histogram = HistogramMetricFamily(
        "commissaire_http_request_duration_seconds",
        "How long requests took, from their head to the end of the answer.",
        labels=("method", "route"),
    )
    for labels, durations in by_route.items():
        counts = [sum(column) for column in zip(*(d.buckets for d in durations), strict=True)]
        seconds = sum(d.seconds for d in durations)
        histogram.add_metric(labels, _cumulative(SECONDS_BOUNDS, counts), seconds)
    return histogram


def _cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each holds what those before it hold."""
    found, sum_so_far = [], 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        sum_so_far += count
        found.append((bound, float(sum_so_far)))
    return found


def streams(window: EventWindow) -> Collector:
    """Clients that listen to events."""
    return lambda: (
        GaugeMetricFamily(
            "commissaire_event_listeners", "Event streams that are open.", window.listeners
        ),
        CounterMetricFamily(
            "commissaire_event_listeners_left_behind",
            "Listeners that were sent away because they were too slow.",
            window.left_behind,
        ),
    )


def connections(server: Server) -> Collector:
    """Connections of clients."""

    def collect() -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "commissaire_http_connections", "Connections that are open.", server.connections
        )
        yield GaugeMetricFamily(
            "commissaire_http_connections_max",
            "Connections that may be open.",
            server.connections_max,
        )
        faults = CounterMetricFamily(
            "commissaire_http_faults",
            "What came over a connection and was refused before it was a request.",
            labels=("kind",),
        )
        for kind, count in server.faults.items():
            faults.add_metric((kind,), count)
        yield faults

    return collect


def commits(writer: Writer) -> Collector:
    """Changes on their way into the log."""

    def collect() -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "commissaire_commands_waiting", "Changes that wait for their turn.", writer.waiting
        )
        sizes = dict(writer.commits)
        counts = [0] * (len(COMMIT_BOUNDS) + 1)
        for size, count in sizes.items():
            counts[sum(1 for bound in COMMIT_BOUNDS if bound < size)] += count
        histogram = HistogramMetricFamily(
            "commissaire_commit_commands", "How many changes shared a commit.", labels=()
        )
        commands = sum(size * count for size, count in sizes.items())
        histogram.add_metric((), _cumulative(COMMIT_BOUNDS, counts), commands)
        yield histogram

    return collect


def continuity(known: Continuity) -> Collector:
    """Whether the log went back."""
    return lambda: (
        CounterMetricFamily(
            "commissaire_log_went_back",
            "How often the database had less of the log than this process knew.",
            known.losses,
        ),
        CounterMetricFamily(
            "commissaire_log_changes_lost",
            "Changes of this process that were lost so.",
            known.changes_lost,
        ),
    )


def ssh(connections: Ssh) -> Collector:
    """Sessions on hosts."""

    def collect() -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "commissaire_ssh_sessions_open", "Sessions on hosts that are open.", connections.open
        )
        yield CounterMetricFamily(
            "commissaire_ssh_sessions", "Log-ins on hosts that succeeded.", connections.sessions
        )
        kept = connections.kept
        yield GaugeMetricFamily(
            "commissaire_ssh_kept", "Connections that are open between two checks.", len(kept)
        )
        checks = CounterMetricFamily(
            "commissaire_ssh_kept_used",
            "Checks that met a kept connection, by what came of it (broken: they logged in).",
            labels=("outcome",),
        )
        checks.add_metric(("answered",), kept.reused)
        checks.add_metric(("broken",), kept.broken)
        yield checks
        yield CounterMetricFamily(
            "commissaire_ssh_kept_opened", "Log-ins whose connection was kept.", kept.opened
        )
        failures = CounterMetricFamily(
            "commissaire_ssh_failures",
            "Connections to hosts that failed, by what went wrong.",
            labels=("reason",),
        )
        for reason, count in connections.failures.items():
            failures.add_metric((reason,), count)
        yield failures

    return collect


def sources(inventories: SourcePollers) -> Collector:
    """External inventories."""

    def collect() -> Iterable[Metric]:
        hosts = GaugeMetricFamily(
            "commissaire_source_hosts", "Hosts that a source owns.", labels=("source",)
        )
        answers = CounterMetricFamily(
            "commissaire_source_answers", "Answers of a source.", labels=("source",)
        )
        failures = CounterMetricFamily(
            "commissaire_source_failures", "Questions that a source failed.", labels=("source",)
        )
        stale = GaugeMetricFamily(
            "commissaire_source_stale", "1 where a source is stale.", labels=("source",)
        )
        for name, tally in inventories.tallies.items():
            hosts.add_metric((name,), tally.hosts)
            answers.add_metric((name,), tally.answers)
            failures.add_metric((name,), tally.failures)
            stale.add_metric((name,), tally.stale)
        yield from (hosts, answers, failures, stale)

    return collect


def webhooks(sender: WebhookSender) -> Collector:
    """Events that are sent to others."""

    def collect() -> Iterable[Metric]:
        attempts = CounterMetricFamily(
            "commissaire_webhook_attempts",
            "Attempts to deliver to a webhook, by what came of them.",
            labels=("webhook", "outcome"),
        )
        failing = GaugeMetricFamily(
            "commissaire_webhook_failing",
            "1 where the last attempt to deliver to a webhook failed.",
            labels=("webhook",),
        )
        for name, tally in sender.tallies.items():
            attempts.add_metric((name, "delivered"), tally.delivered)
            attempts.add_metric((name, "failed"), tally.failed)
            failing.add_metric((name,), tally.failing)
        yield from (attempts, failing)

    return collect


def leases(ours: Ownership) -> Collector:
    """Which part of the work is this process's."""
    return lambda: (
        GaugeMetricFamily(
            "commissaire_leases_held", "Shards of all work that are this process's.", ours.held
        ),
        CounterMetricFamily(
            "commissaire_leases_taken_over",
            "Shards that this process took over from one that had died, or was held up.",
            ours.tally.taken_over,
        ),
        CounterMetricFamily(
            "commissaire_leases_lost",
            "Shards that this process lost because it could not renew its lease.",
            ours.tally.lost,
        ),
    )


def container_managers(
    results: Mapping[str, Mapping[str, int]], registrar: NodeRegistrar
) -> Collector:
    """Container managers, and what is still to be told to them."""

    def collect() -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "commissaire_container_manager_requests",
            "Requests to a container manager, by what came of them.",
            labels=("container_manager", "result"),
        )
        for name, counts in results.items():
            for result, count in counts.items():
                requests.add_metric((name, result), count)
        yield requests
        yield GaugeMetricFamily(
            "commissaire_nodes_waiting",
            "Hosts that a container manager is still to be told of.",
            registrar.waiting,
        )

    return collect


def log_lines(lines: ServiceLog) -> Collector:
    """The service's own log."""
    return lambda: (
        CounterMetricFamily(
            "commissaire_log_lines_dropped",
            "Log lines that nobody read in time.",
            lines.dropped,
        ),
    )


def space(data: Path) -> Collector:
    """Room in the data directory, where it is there."""

    def collect() -> Iterable[Metric]:
        try:
            free = shutil.disk_usage(data).free
        except OSError:
            return
        yield GaugeMetricFamily(
            "commissaire_data_free_bytes", "Free space where the data directory is.", free
        )

    return collect
