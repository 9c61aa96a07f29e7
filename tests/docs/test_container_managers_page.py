"""What `docs/container-managers.md` says in figures and names is what the code has."""

from pathlib import Path
from typing import get_args

import pytest
import yaml

from domain.aggregates import rolling_policy
from domain.aggregates.container_manager import KUBERNETES_OPTIONS
from runners.container_managers import failure, kubernetes, kubernetes_api, node_registrar
from runners.operations import host_step
from runners.scheduling.backoff import Pauses
from runners.settings.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/container-managers.md").read_text()
WORDS = " ".join(PAGE.split())


@pytest.mark.parametrize(
    ("words", "value", "said"),
    [
        ("after 1 s, 2 s … 60 s", node_registrar.PAUSES, Pauses(1.0, 60.0)),
        ("told for an hour", node_registrar.FAREWELL_S, 3600),
        ("half a minute after it has noticed", node_registrar.STRAY_S, 30),
        ("5 s to connect", kubernetes_api.CONNECT_TIMEOUT_S, 5),
        ("20 s until the end", kubernetes_api.ANSWER_TIMEOUT_S, 20),
        ("16 MiB of it", kubernetes_api.ANSWER_BYTES_MAX, 16 * 1024 * 1024),
        ("16 connections", kubernetes_api.CONNECTIONS_MAX, 16),
        ("a minute at most", failure.RETRY_AFTER_S_MAX, 60),
        ("or 600 s, to leave", rolling_policy.DRAIN_TIMEOUT_S, 600),
        ("uncordoning may take 60 s", host_step.UNCORDON_LIMIT_S, 60),
        ("--node-report-interval-s` (30)", Settings().node_report_interval_s, 30),
        ("--node-report-age-s` (120)", Settings().node_report_age_s, 120),
    ],
)
def test_figures_are_those_of_the_code(words: str, value: object, said: object) -> None:
    assert words in WORDS
    assert value == said


def test_every_option_annotation_and_result_is_named() -> None:
    for name in (
        *KUBERNETES_OPTIONS,
        *get_args(failure.Kind),
        *(kubernetes.REGISTERED, kubernetes.ADDRESS, kubernetes.CLUSTER),
        *(kubernetes.CORDONED, kubernetes.KEPT, kubernetes.RELEASED),
    ):
        assert f"`{name}`" in PAGE, name


def test_the_rights_that_it_asks_for_are_those_that_are_used() -> None:
    block = PAGE.partition("```yaml\n")[2].partition("```")[0]
    rules = {
        resource: set(rule["verbs"])
        for rule in yaml.safe_load(block)["rules"]
        for resource in rule["resources"]
    }
    assert rules == {
        "nodes": {"get", "list", "create", "patch", "delete"},
        "pods": {"list"},
        "pods/eviction": {"create"},
    }
