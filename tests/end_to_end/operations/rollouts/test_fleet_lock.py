"""FleetLock by a client that does as Zincati does, and a service that is killed meanwhile."""

from pathlib import Path

import pytest

from tests.commctl.operator import Operator
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, outcomes
from tests.fleet import Fleet
from tests.support.service import Service
from tests.web.resources.rollouts.zincati import Zincati

pytestmark = pytest.mark.dear_on("postgresql")


def test_a_lock_outlives_kill_9_and_an_operation_waits_for_its_slot(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    lets = ("--fleet-lock-from", "127.0.0.0/8")
    hosts = fleet.add_many(["fedora"] * 2)
    with Service(tmp_path / "service", database_url, *QUICK, *lets) as service:
        rolled = Rolled(service, hosts)
        client = service.client
        policy = client.put(f"/cluster/{rolled.cluster}/policy", json={"max_unavailable": 1})
        assert policy.status_code == 201
        for number, host in enumerate(hosts):
            labels = {"fleetlock-id": f"id-{number}"}
            client.put(f"/host/{host.address}/labels", json=labels).raise_for_status()
        first, second = (Zincati(service.url, f"id-{n}", rolled.cluster) for n in range(2))
        assert first.pre_reboot()
        service.kill()
        service.start()
        first.url = second.url = service.url
        assert not second.pre_reboot(), "the only slot is still taken"
        assert first.pre_reboot(), "recursion"
        rolled.begin_by_post("upgrade", max_parallel=2)
        record = rolled.waiting_for("members", for_ever=True)
        assert outcomes(record) == ["waiting", "waiting"]
        shown = Operator(tmp_path / "home", service).run("op", "show", "-o", "table").stdout
        assert f"lock: {hosts[0].address} as id-0" in shown
        assert first.steady_state()
        assert rolled.over()["status"] == "finished"
        assert second.pre_reboot()
        assert [lock["id"] for lock in service.client.get("/fleet").json()["locks"]] == ["id-1"]


def test_without_the_setting_nobody_gets_a_lock(service: Service) -> None:
    assert service.client.put("/cluster/web").status_code == 201
    for path in ("pre-reboot", "steady-state"):
        answer = Zincati(service.url, "x").ask(path)
        assert (answer.status_code, answer.json()["kind"]) == (403, "not_allowed")
