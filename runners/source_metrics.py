"""How it goes with the sources, in the words of Prometheus.

`commissaire_source_hosts`, `commissaire_source_answers_total`,
`commissaire_source_failures_total` and `commissaire_source_stale`, each by `source`.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runners.sources import Tally

LABELS = ("source",)


class Tallied(Protocol):
    """What counts how it goes with each source."""

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """By the name of the source."""
        ...


class SourceMetrics(Collector):
    """For a registry of prometheus-client. It reads counters that are there anyway."""

    def __init__(self, sources: Tallied) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Each metric, with a sample for each source."""
        hosts = GaugeMetricFamily(
            "commissaire_source_hosts", "Hosts that a source owns.", labels=LABELS
        )
        answers = CounterMetricFamily(
            "commissaire_source_answers", "Questions that a source has answered.", labels=LABELS
        )
        failures = CounterMetricFamily(
            "commissaire_source_failures", "Questions that a source has failed at.", labels=LABELS
        )
        stale = GaugeMetricFamily(
            "commissaire_source_stale",
            "1 from when a source has failed for too long until it answers again, else 0.",
            labels=LABELS,
        )
        for name, tally in self._sources.tallies.items():
            hosts.add_metric((name,), tally.hosts)
            answers.add_metric((name,), tally.answers)
            failures.add_metric((name,), tally.failures)
            stale.add_metric((name,), tally.stale)
        return hosts, answers, failures, stale
