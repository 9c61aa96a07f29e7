"""The metrics of the fleet, of operations, of the log, and of readiness."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from domain.aggregates.host import NEXT
from domain.aggregates.rolling_policy import Kind, Outcome
from domain.log.follower import Follower
from domain.rollouts.moves import Status
from projections.fleet_figures import FleetFigures, LogSize
from web.resources.health import Part


def readiness(parts: Sequence[Part]) -> Iterable[Metric]:
    """What `/readyz` says."""
    ready = GaugeMetricFamily("commissaire_ready", "1 where a part is ready.", labels=("part",))
    for part in parts:
        ready.add_metric((part.name,), part.ready)
    yield ready


def fleet(found: FleetFigures) -> Iterable[Metric]:
    """Hosts and clusters. A status that nobody has is 0, not absent."""
    hosts = GaugeMetricFamily("commissaire_hosts", "Hosts by status.", labels=("status",))
    for status in filter(None, NEXT):  # "" is a host that is not registered
        hosts.add_metric((status,), found.hosts.get(status, 0))
    clusters = GaugeMetricFamily("commissaire_clusters", "Clusters by status.", labels=("status",))
    for status in ("ok", "degraded", "failed"):
        clusters.add_metric((status,), found.clusters.get(status, 0))
    yield from (hosts, clusters)


def operations(found: FleetFigures) -> Iterable[Metric]:
    """All operations ever run, and the hosts of those that are not over."""
    begun = GaugeMetricFamily(
        "commissaire_operations", "Operations by kind and status.", labels=("kind", "status")
    )
    for kind, status in product(get_args(Kind), get_args(Status)):
        begun.add_metric((kind, status), found.operations.get((kind, status), 0))
    hosts = GaugeMetricFamily(
        "commissaire_operation_hosts",
        "Hosts of operations that are not over, by outcome.",
        labels=("outcome",),
    )
    for outcome in get_args(Outcome):
        hosts.add_metric((outcome,), found.operation_hosts.get(outcome, 0))
    yield from (begun, hosts)


def log(
    found: FleetFigures, size: LogSize | None, followers: Mapping[str, Follower]
) -> Iterable[Metric]:
    """The log, and how far those who read it have come."""
    yield GaugeMetricFamily(
        "commissaire_log_position", "The newest position of the log.", found.head
    )
    if size is not None:
        yield GaugeMetricFamily("commissaire_log_events", "Events in the log.", size.events)
        yield GaugeMetricFamily(
            "commissaire_log_bytes", "What the events of the log say, in bytes.", size.bytes
        )
    yield GaugeMetricFamily(
        "commissaire_database_bytes", "The whole database.", found.database_bytes
    )
    yield from _places("projection", "a read model", found.positions, found.head)
    behind = {name: min(follower.position, found.head) for name, follower in followers.items()}
    yield from _places("follower", "a runner", behind, found.head)


def _places(label: str, whose: str, positions: Mapping[str, int], head: int) -> Iterable[Metric]:
    position = GaugeMetricFamily(
        f"commissaire_{label}_position", f"Position of the log that {whose} is at.", labels=(label,)
    )
    lag = GaugeMetricFamily(
        f"commissaire_{label}_lag",
        f"Positions of the log that {whose} is behind its head.",
        labels=(label,),
    )
    for name, at in positions.items():
        position.add_metric((name,), at)
        lag.add_metric((name,), head - at)
    yield from (position, lag)
