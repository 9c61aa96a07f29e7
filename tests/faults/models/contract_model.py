"""The contract in a page of Python: what the service must answer to each request, and why not.

It knows no log, no SQL and no HTTP. A host that is registered is settled at once here; whoever
compares waits until the service has looked at it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.faults.fake_host import CPUS, MEMORY_KB, OS, SPACE_KB
from tests.faults.models.infrastructure_model import (
    CONFLICT,
    NOT_FOUND,
    Resources,
    Said,
    container_managers,
    networks,
)

CHECKED = "…"
"""Stands for any time of a check."""


@dataclass
class Host:
    """A host that is registered."""

    key: str
    user: str
    port: int
    cluster: str = ""


@dataclass
class Cluster:
    """A cluster; its members in order of joining."""

    network: str
    container_manager: str
    members: list[str] = field(default_factory=list)


@dataclass
class Model:
    """All clusters, hosts, networks and container managers.

    `reachable`: addresses that answer; the others fail.
    """

    reachable: Collection[str]
    clusters: dict[str, Cluster] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    networks: Resources = field(default_factory=networks)
    container_managers: Resources = field(default_factory=container_managers)

    # Hosts

    def put_host(
        self, address: str, key: str, cluster: str | None, user: str | None, port: int
    ) -> Said:
        """`None`: not said. A new host is being looked at in the answer."""
        if cluster is not None and cluster not in self.clusters:
            return CONFLICT
        host = self.hosts.get(address)
        if host is None:
            self.hosts[address] = Host(key, user or "root", port, cluster or "")
            if cluster is not None:
                self.clusters[cluster].members.append(address)
            return Said(201, self._record(address, "investigating", looked_at=False))
        if key != host.key or (cluster is not None and cluster != host.cluster):
            return CONFLICT
        if (user is not None and user != host.user) or port != host.port:
            return CONFLICT
        return Said(201, self.get_host(address).body)

    def get_host(self, address: str) -> Said:
        """The record."""
        if address not in self.hosts:
            return NOT_FOUND
        return Said(200, self._record(address, self.status(address)))

    def get_host_status(self, address: str) -> Said:
        """The status record."""
        if address not in self.hosts:
            return NOT_FOUND
        status = self.status(address)
        checked = {"last_check": CHECKED, "status": status}
        cluster = self.clusters.get(self.hosts[address].cluster)
        # The trivial one, the only kind that clusters have here, knows who is set up.
        is_node = cluster is not None and cluster.container_manager and status == "active"
        node = {"node": address, "status": "ok"} if is_node else {}
        return Said(200, {"type": "host_only", "host": checked, "container_manager": node})

    def get_creds(self, address: str) -> Said:
        """The key."""
        if address not in self.hosts:
            return NOT_FOUND
        host = self.hosts[address]
        return Said(200, {"ssh_priv_key": host.key, "remote_user": host.user})

    def get_hosts(self) -> Said:
        """All records, without their source."""
        records = [self._record(address, self.status(address)) for address in sorted(self.hosts)]
        for record in records:
            del record["source"]
        return Said(200, records)

    def delete_host(self, address: str) -> Said:
        """It leaves its cluster."""
        host = self.hosts.pop(address, None)
        if host is None:
            return NOT_FOUND
        if host.cluster:
            self.clusters[host.cluster].members.remove(address)
        return Said(200, [])

    def status(self, address: str) -> str:
        """Once it was looked at."""
        if address not in self.reachable:
            return "failed"
        return "active" if self.hosts[address].cluster else "disassociated"

    # Clusters

    def put_cluster(self, name: str, network: str, container_manager: str) -> Said:
        """With a network and a container manager that are there, and never others later."""
        there = self.clusters.get(name)
        if there is None:
            known = container_manager in ("", *self.container_managers.of)
            if network not in self.networks.of or not known:
                return CONFLICT
            self.clusters[name] = Cluster(network, container_manager)
        elif (there.network, there.container_manager) != (network, container_manager):
            return CONFLICT
        return Said(201, self.get_cluster(name).body)

    def get_cluster(self, name: str) -> Said:
        """The record with its counts."""
        if name not in self.clusters:
            return NOT_FOUND
        cluster = self.clusters[name]
        members = cluster.members
        available = sum(self.status(address) == "active" for address in members)
        unavailable = len(members) - available
        health = "ok" if not unavailable else "degraded" if available else "failed"
        return Said(
            200,
            {
                "name": name,
                "status": health,
                "network": cluster.network,
                "container_manager": cluster.container_manager,
                "hosts": {
                    "total": len(members),
                    "available": available,
                    "unavailable": unavailable,
                },
            },
        )

    def get_clusters(self) -> Said:
        """The names."""
        return Said(200, sorted(self.clusters))

    def delete_cluster(self, name: str) -> Said:
        """Its hosts stay."""
        if name not in self.clusters:
            return NOT_FOUND
        for address in self.clusters.pop(name).members:
            self.hosts[address].cluster = ""
        return Said(200, [])

    # Networks and container managers

    def delete_network(self, name: str) -> Said:
        """Not while a cluster uses it."""
        used = any(cluster.network == name for cluster in self.clusters.values())
        return self.networks.delete(name, used=used)

    def delete_container_manager(self, name: str) -> Said:
        """Not while a cluster uses it."""
        used = any(cluster.container_manager == name for cluster in self.clusters.values())
        return self.container_managers.delete(name, used=used)

    # Members

    def get_members(self, name: str) -> Said:
        """In order of joining."""
        return Said(200, list(self.clusters[name].members)) if name in self.clusters else NOT_FOUND

    def put_members(self, name: str, old: list[str], new: list[str]) -> Said:
        """Compare and swap."""
        if name not in self.clusters:
            return NOT_FOUND
        members = self.clusters[name].members
        if set(new) == set(members):
            return Said(200, list(members))
        newcomers = [address for address in dict.fromkeys(new) if address not in members]
        if set(old) != set(members) or not all(self._may_join(a, name) for a in newcomers):
            return CONFLICT
        for address in [address for address in members if address not in new]:
            self._leave(address, name)
        for address in newcomers:
            self._join(address, name)
        return self.get_members(name)

    def get_member(self, name: str, address: str) -> Said:
        """Whether it is one."""
        cluster = self.clusters.get(name)
        is_member = cluster is not None and address in cluster.members
        return Said(200, [address]) if is_member else NOT_FOUND

    def put_member(self, name: str, address: str) -> Said:
        """A member already is not judged again."""
        if name not in self.clusters or address not in self.hosts:
            return NOT_FOUND
        if address not in self.clusters[name].members:
            if not self._may_join(address, name):
                return CONFLICT
            self._join(address, name)
        return Said(200, [address])

    def delete_member(self, name: str, address: str) -> Said:
        """No member already is as good."""
        if name not in self.clusters:
            return NOT_FOUND
        if address in self.clusters[name].members:
            self._leave(address, name)
        return Said(200, [])

    def _may_join(self, address: str, name: str) -> bool:
        host = self.hosts.get(address)
        return host is not None and host.cluster in ("", name) and address in self.reachable

    def _join(self, address: str, name: str) -> None:
        self.clusters[name].members.append(address)
        self.hosts[address].cluster = name

    def _leave(self, address: str, name: str) -> None:
        self.clusters[name].members.remove(address)
        self.hosts[address].cluster = ""

    def _record(self, address: str, status: str, *, looked_at: bool = True) -> dict[str, object]:
        known = looked_at and address in self.reachable
        return {
            "address": address,
            "status": status,
            "os": OS if known else "",
            "cpus": CPUS if known else 0,
            "memory": MEMORY_KB if known else 0,
            "space": SPACE_KB if known else 0,
            "last_check": CHECKED if looked_at else "",
            "source": "",
        }
