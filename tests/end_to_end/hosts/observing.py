"""Figures and readiness of a service, as a monitor reads them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from tests.support.service import Service

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
FORWARDED = {"X-Forwarded-For": "192.0.2.7"}
AWAY_ANSWER_S = 6.0
"""Well above the two seconds that the database has, and below what a Prometheus waits for."""

WATCHING_S = 60.0


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service on SQLite, for what no database has a say in."""
    with Service(tmp_path_factory.mktemp("local")) as running:
        yield running


def figures(service: Service, **labels: str) -> dict[str, float]:
    """Every sample that has these labels, by its name."""
    text = httpx.get(f"{service.url}/metrics").raise_for_status().text
    return {
        sample.name: sample.value
        for family in plain_metrics(text)
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def readiness(service: Service, **more: Any) -> httpx.Response:
    return httpx.get(f"{service.url}/readyz", timeout=30, **more)


def red(service: Service) -> dict[str, dict[str, str]]:
    """The parts that are not ready, by name."""
    answer = readiness(service)
    parts = {part["name"]: part for part in answer.json()["parts"] if not part["ready"]}
    assert answer.status_code == (503 if parts else 200)
    assert answer.json()["status"] == ("not_ready" if parts else "ready")
    return parts
