"""Operations on clusters of real hosts, as an operator sees them, and what the hosts saw."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.fleet import Host
from tests.support.service import Service, wait_for

OVER = ("finished", "partial", "failed", "cancelled")
OPERATION_TIMEOUT_S = 90.0
PACKAGE_COMMANDS = ("dnf", "yum", "apt-get", "rpm-ostree")
NUMBERS = count(1)


class Rolled:
    """A cluster of these hosts, all active, and the operation that was begun last."""

    def __init__(self, service: Service, hosts: Sequence[Host]) -> None:
        self.service = service
        self.hosts = hosts
        self.cluster = f"cluster-{next(NUMBERS)}"
        self.name = ""
        assert service.client.put(f"/cluster/{self.cluster}").status_code == 201
        for host in hosts:
            assert service.register(host, cluster=self.cluster).status_code == 201
        for host in hosts:
            service.wait_for_status(host.address, "active")

    def begin(self, kind: str, **body: Any) -> str:
        """Begin an operation; gives its id."""
        answer = self.service.client.put(f"/cluster/{self.cluster}/{kind}", json=body)
        assert answer.status_code == 201, answer.text
        self.name = str(answer.headers["location"].rpartition("/")[2])
        return self.name

    def begin_by_post(self, kind: str, **body: Any) -> str:
        """The same with all that `POST /operations` takes; gives its id."""
        asked = {"kind": kind, "cluster": self.cluster} | body
        answer = self.service.client.post("/operations", json=asked)
        assert answer.status_code == 201, answer.text
        self.name = str(answer.json()["id"])
        return self.name

    def waiting_for(self, what: str, *, for_ever: bool = False) -> Any:
        """The record once it waits for this; `for_ever`: until something happens."""

        def found() -> Any:
            record = self.record
            waits = record["waits_for"] or {"what": None, "until": None}
            right = waits["what"] == what and (waits["until"] is None or not for_ever)
            return record if right else None

        return wait_for(found)

    @property
    def record(self) -> Any:
        """The operation as it is now."""
        return self.service.client.get(f"/operation/{self.name}").json()

    def over(self, timeout_s: float = OPERATION_TIMEOUT_S) -> Any:
        """The operation once it is over."""

        def found() -> Any:
            record = self.record
            return record if record["status"] in OVER else None

        return wait_for(found, timeout_s)

    def steer(self, state: str) -> Any:
        """Pause, resume or cancel it; gives the record."""
        answer = self.service.client.put(f"/operation/{self.name}/state", json={"state": state})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def retry(self) -> None:
        """Begin anew over what was left undone."""
        answer = self.service.client.put(f"/operation/{self.name}/retry")
        assert answer.status_code == 201, answer.text
        self.name = answer.json()["id"]

    def output(self, host: Host) -> bytes:
        """What is kept of a host's output."""
        path = f"/operation/{self.name}/hosts/{host.address}/output?raw"
        return self.service.client.get(path).content


def outcomes(operation: Any) -> list[str]:
    """Of its hosts, in order."""
    return [host["outcome"] for host in operation["hosts"]]


def upgrades(host: Host) -> int:
    """How often the package command that upgrades or deploys ran on a host."""
    return sum(1 for argv in host.ran if _is_upgrade(argv))


def _is_upgrade(argv: list[str]) -> bool:
    if argv[0] not in PACKAGE_COMMANDS:
        return False
    # `apt-get update` only reads lists; `yum update` is what `dnf upgrade` is.
    verbs = {"upgrade"} if argv[0] == "apt-get" else {"upgrade", "update", "deploy"}
    return bool(verbs & set(argv))


def reboots(host: Host) -> int:
    """How often a host was asked to reboot."""
    return host.ran.count(["systemctl", "reboot"]) + host.ran.count(["reboot"])
