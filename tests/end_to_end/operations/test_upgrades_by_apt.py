"""An upgrade by the real apt through the whole service: what its record and its history say."""

from pathlib import Path
from typing import Any

from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.support.real_apt import RealApt
from tests.support.service import Service, wait_for

LIMIT_S = 60.0


def test_what_is_waited_for_what_was_kept_back_and_what_changed_are_in_the_record(
    service: Service, fleet: Fleet, tmp_path: Path
) -> None:
    apt = RealApt(fleet.add("debian"), tmp_path)
    apt.has("tool", "1")
    apt.publish("tool", "2")
    apt.has("held", "1", status="hold ok installed")
    apt.publish("held", "2")
    rolled = Rolled(service, [apt.host])

    def host() -> Any:
        return rolled.record["hosts"][0]

    with apt.locked("/var/lib/dpkg/lock-frontend"):
        rolled.begin("upgrade", reboot="if_needed")
        wait_for(lambda: host()["reason"], LIMIT_S)
        told = host()
        assert told["outcome"] == "in_process"
        assert told["reason"].startswith(
            "Another package manager is at work: “dpkg --configure -a”"
        )
    assert rolled.over(LIMIT_S)["status"] == "finished"
    ended = host()
    assert ended["outcome"] == "done"
    assert ended["reason"].startswith("Kept back: held. Whether it needs a reboot cannot be told: ")
    assert ended["evidence"]["packages_changed"] == 1
    assert ended["evidence"]["packages_before"] != ended["evidence"]["packages_after"]
    assert apt.installed() == {"tool": "2", "held": "1"}
