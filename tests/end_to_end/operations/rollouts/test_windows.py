"""A window on real hosts: nothing begins outside it, also over kill -9."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, upgrades
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

NEVER: dict[str, Any] = {
    "zone": "Europe/Berlin",
    "starts": "0 0 29 2 *",
    "duration_s": 60,
    "except": [f"{year}-02-29" for year in range(2028, 2072, 4)],
}
ALWAYS: dict[str, Any] = {"zone": "Europe/Berlin", "starts": "* * * * *", "duration_s": 3600}


@pytest.mark.dear_on("postgresql")
def test_an_operation_waits_for_its_window_over_kill_9(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    with Service(tmp_path / "service", database_url, *QUICK) as service:
        client = service.client
        assert client.put("/window/nights", json=NEVER).status_code == 201
        rolled = Rolled(service, [host])
        body = {"kind": "upgrade", "cluster": rolled.cluster, "window": "nights"}
        begun = client.post("/operations", json=body)
        assert begun.status_code == 201, begun.text
        rolled.name = begun.json()["id"]

        def waits() -> bool:
            return bool((rolled.record["waits_for"] or {}).get("what") == "window")

        wait_for(waits)
        service.kill()
        service.start()
        wait_for(waits)
        assert upgrades(host) == 0
        assert service.client.delete("/window/nights").status_code == 409
        assert service.client.put("/window/nights", json=ALWAYS).status_code == 201
        record = rolled.over()
        assert (record["status"], record["waits_for"]) == ("finished", None)
        assert upgrades(host) == 1
        assert service.client.delete("/window/nights").status_code == 200
