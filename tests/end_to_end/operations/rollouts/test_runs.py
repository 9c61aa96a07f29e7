"""A script of an administrator runs on real hosts with all of the safety of an upgrade."""

import hashlib

import pytest

from tests.end_to_end.operations.rolled import Rolled, outcomes
from tests.fleet import Fleet
from tests.support.service import Service

pytestmark = pytest.mark.dear_on("postgresql")

SCRIPT = """
cat /dev/stdin > /dev/null
echo "it's \"quoted\" \\ $0"
count=$(cat /run/ran 2>/dev/null || echo 0)
echo $((count + 1)) > /run/ran
cat /run/ran
exit "$(cat /run/status 2>/dev/null || echo 0)"
"""


def test_a_script_runs_once_on_each_host_and_its_output_and_status_are_kept(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    rolled = Rolled(service, hosts)
    rolled.begin_by_post("run", script=SCRIPT, waves=[{"hosts": 1}])
    service.kill()
    service.start()
    record = rolled.over()
    assert (record["status"], outcomes(record)) == ("finished", ["done", "done"])
    assert record["script_sha256"] == hashlib.sha256(SCRIPT.encode()).hexdigest()
    for host in hosts:
        assert b"it's quoted \\ run" in rolled.output(host)
        assert host.path("/run/ran").read_text().strip() == "1", "once, whoever was killed"


def test_a_script_that_fails_is_retried_by_an_administrator_alone(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    rolled.begin_by_post("run", script="exit 3")
    record = rolled.over()
    assert record["status"] == "failed"
    assert "exit status 3" in record["hosts"][0]["reason"]
    with service.client_as("operator") as operator:
        assert operator.put(f"/operation/{rolled.name}/retry").status_code == 403
    rolled.retry()
    assert rolled.over()["status"] == "failed"


def test_the_largest_script_arrives_whole(service: Service, fleet: Fleet) -> None:
    host = fleet.add("debian")
    rolled = Rolled(service, [host])
    head, tail = ": '", "'\necho it arrived"
    script = head + '"' * (64 * 1024 - len(head) - len(tail)) + tail
    rolled.begin_by_post("run", script=script)
    assert rolled.over()["status"] == "finished"
    assert b"it arrived" in rolled.output(host)
