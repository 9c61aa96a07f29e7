"""`docs/examples/grafana.json`: panels over figures that there are, in expressions that hold.

And what a SIEM is told to look for: events that there are.
"""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import yaml

from domain.all_events import TOPICS
from tests.docs.documents import EXAMPLES, OPERATING, rows, section
from tests.support.service import Service

LIMIT_S = 60.0
DASHBOARD: dict[str, Any] = json.loads((EXAMPLES / "grafana.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
OF_GRAFANA = {"$__rate_interval": "5m", '=~"$job"': '=~".*"'}


def test_its_figures_are_those_of_the_document() -> None:
    named = {name for name, _, _ in rows(section(OPERATING, "### Figures"))}
    asked = {name for each in EXPRESSIONS for name in re.findall(r"commissaire_\w+", each)}
    assert {f"`{name.removesuffix('_bucket')}`" for name in asked} <= named
    assert len(asked) > 10


def test_its_labels_are_those_that_are_served(tmp_path: Path) -> None:
    with Service(tmp_path, None) as service:
        text = httpx.get(f"{service.url}/metrics").text
        code = "".join(
            path.read_text()
            for path in (EXAMPLES.parents[1] / "runners/observability").glob("*.py")
        )
    for grouped in re.findall(r"by \(([^)]+)\)", " ".join(EXPRESSIONS)):
        for label in grouped.split(", "):
            assert f"{label}=" in text or f'"{label}"' in code, label


def test_its_expressions_are_understood(tmp_path: Path) -> None:
    whole = json.dumps(EXPRESSIONS)
    for said, meant in OF_GRAFANA.items():
        whole = whole.replace(json.dumps(said)[1:-1], json.dumps(meant)[1:-1])
    rules = [{"record": f"panel:{n}", "expr": each} for n, each in enumerate(json.loads(whole))]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    told = subprocess.run(
        ["promtool", "check", "rules", file],
        check=False, capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_siem_looks_for_events_that_there_are() -> None:
    table = rows(section(OPERATING, "### To a SIEM"))
    named = {name for _, *cells in table for name in re.findall(r"`(\w+\.\w+)`", cells[0])}
    of_ecs = {name for name in named if name.split(".")[0] in {"event", "user", "host", "trace"}}
    assert {name for name in named if name in TOPICS} == named - (of_ecs - TOPICS.keys())
    assert len(named & TOPICS.keys()) > 8


def test_its_panels_do_not_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        below = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
