"""A gate against a real Prometheus: an alert that fires holds an operation back, over kill -9."""

from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, upgrades
from tests.fleet import Fleet
from tests.support.prometheus import prometheus
from tests.support.service import Service, wait_for

LIMIT_S = 120.0


@pytest.mark.dear_on("sqlite")
def test_an_alert_that_fires_holds_an_operation_back_until_it_clears(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    config = tmp_path / "commissaire.toml"
    with prometheus(tmp_path / "prometheus") as running:
        running.trouble = True
        config.write_text(
            f"[gates.pages]\nurl = '{running.url}'\nprometheus = true\n"
            "filter = 'severity=\"page\"'\n"
        )
        flags = (*QUICK, "--config", str(config), "--gate", "gone=http://127.0.0.1:1/")
        with Service(tmp_path / "service", database_url, *flags) as service:
            rolled = Rolled(service, [host])
            body = {"kind": "upgrade", "cluster": rolled.cluster}
            assert service.client.post("/operations", json=body | {"gate": "none"}).is_client_error
            reason = ""

            def waits() -> bool:
                told = rolled.record["waits_for"] or {}
                return told.get("what") == "gate" and told["reason"] == reason

            begun = service.client.post("/operations", json=body | {"gate": "gone"})
            rolled.name = begun.json()["id"]
            reason = "Gate gone says no: it cannot be reached."
            wait_for(waits, LIMIT_S)
            rolled.steer("cancelled")
            rolled.over()
            # Before the rule was looked at for the first time, no alert fires.
            path = f"{running.url}/api/v1/alerts"
            wait_for(lambda: '"firing"' in service.client.get(path).text, LIMIT_S)
            begun = service.client.post("/operations", json=body | {"gate": "pages"})
            rolled.name = begun.json()["id"]
            reason = "Gate pages says no: alerts fire: HighErrorRate."
            wait_for(waits, LIMIT_S)
            service.kill()
            service.start()
            wait_for(waits, LIMIT_S)
            assert upgrades(host) == 0
            running.trouble = False
            assert rolled.over(LIMIT_S)["status"] == "finished"
            assert upgrades(host) == 1
