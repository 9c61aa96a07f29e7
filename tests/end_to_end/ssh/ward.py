"""A ward: a host for each fault of the table, all looked after by one service."""

import socket

from domain.aggregates.host_events import Failed
from tests.end_to_end.history import events_of, first_failure
from tests.end_to_end.ssh.host_faults import FAULTS, HARMFUL
from tests.fleet import Fleet, Host
from tests.support.service import Service, wait_for

SETTLED_WITHIN_S = 60.0
"""Two attempts at a host that does not answer, on a machine that has other things to do."""


class Ward:
    """Hosts by the names of their faults. To be closed before the fleet."""

    def __init__(self, service: Service, fleet: Fleet) -> None:
        self.service = service
        self.hosts: dict[str, Host] = {}
        for user in ("root", "ops"):
            names = [name for name, fault in FAULTS.items() if fault.user == user]
            hosts = fleet.add_many(["fedora"] * len(names), user=user)
            self.hosts |= dict(zip(names, hosts, strict=True))
        for name, fault in FAULTS.items():
            fault.inflict(self.hosts[name])
        self._crowd = self._take_the_one_start_up()

    def register_all(self) -> None:
        """Every host, at once."""
        for host in self.hosts.values():
            assert self.service.register(host).status_code == 201

    def remove_all(self) -> None:
        """Every host; all may be registered anew."""
        for host in self.hosts.values():
            assert self.service.client.delete(f"/host/{host.address}").status_code == 200
        self.close()  # before sshd's own patience with it ends
        self._crowd = self._take_the_one_start_up()

    def statuses(self) -> dict[str, str]:
        """By the names of the faults."""
        records = self.service.client.get("/hosts").json()
        by_address = {record["address"]: record["status"] for record in records}
        return {name: by_address[host.address] for name, host in self.hosts.items()}

    def failure(self, name: str) -> Failed:
        """The first one of a host."""
        address = self.hosts[name].address
        wait_for(lambda: events_of(Failed, self.service, address), SETTLED_WITHIN_S)
        return first_failure(self.service, address)

    def heal(self) -> None:
        """Every host, once its fault was found."""
        for name in HARMFUL:
            self.failure(name)
            FAULTS[name].heal(self.hosts[name])
        self.close()

    def close(self) -> None:
        """Hang up; may be called again."""
        self._crowd.close()

    def _take_the_one_start_up(self) -> socket.socket:
        """A connection that does not log in, to the sshd that allows one such at a time."""
        host = self.hosts["start-ups limited"]
        while True:
            crowd = socket.create_connection((host.address, host.port))
            if crowd.recv(4) == b"SSH-":
                return crowd
            crowd.close()  # the one before is not quite gone
