"""Random commands: the two sides of a membership never disagree, and replays give the same."""

import contextlib
from copy import deepcopy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.aggregate import Aggregate
from domain.aggregates.container_manager import (
    MASK,
    ContainerManagerRequest,
    container_manager_request,
)
from domain.aggregates.host import READY
from domain.aggregates.network import NetworkRequest, network_request
from domain.commands import bootstrap, fleet_commands, investigation, node_outcomes
from domain.commands.investigation import Subject
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

ADDRESS = st.sampled_from([f"10.0.0.{n}" for n in range(5)])
NAME = st.sampled_from(["web", "db"])
LIST = st.lists(ADDRESS, max_size=5)
NETWORK = st.sampled_from(["default", "blue", "green"])
MANAGER = st.sampled_from(["prod", "lab"])
NETWORK_REQUESTS = (
    network_request("flannel_etcd", {}),
    network_request("flannel_server", {"address": "10.0.0.1:8080"}),
)
RUN = st.sampled_from(["run-1", "run-2"])
MANAGER_REQUESTS = (
    container_manager_request("trivial", {}),
    *(
        container_manager_request("openshift", {"server_url": "https://a", "token": token})
        for token in (None, "t-1", "t-2", MASK)
    ),
)


class RandomFleet(RuleBasedStateMachine):
    """Whatever anybody may ask of a fleet, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = MemoryUnit()
        self.secrets = MemorySecrets()
        # There from the start, so that hosts soon are nodes.
        self.unit.network("blue").create(NETWORK_REQUESTS[0])
        self.unit.container_manager("lab").create(MANAGER_REQUESTS[0])
        fleet_commands.create_cluster(self.unit, "web", "blue", "lab")
        self.unit.container_manager("prod").create(MANAGER_REQUESTS[1])
        self.unit.network("green").create(NETWORK_REQUESTS[1])
        fleet_commands.create_cluster(self.unit, "db", "green", "prod")

    def ask(self, command: Any, *args: Any) -> None:
        """Carry it out, or see that its refusal left nothing behind."""
        self.unit.did()
        before = state(self.unit)
        refused = False

        def carry_out() -> None:
            command(self.unit, *args)

        with contextlib.suppress(AssertionError):
            self.unit.refused(carry_out)
            refused = True
        if refused:
            assert state(self.unit) == before

    @rule(name=NAME, network=NETWORK, manager=st.just("") | MANAGER)
    def create(self, name: str, network: str, manager: str) -> None:
        """PUT a cluster."""
        self.ask(fleet_commands.create_cluster, name, network, manager)

    @rule(name=NETWORK, wanted=st.sampled_from(NETWORK_REQUESTS))
    def create_network(self, name: str, wanted: NetworkRequest) -> None:
        """PUT a network."""
        self.ask(lambda unit: unit.network(name).create(wanted))

    @rule(name=NETWORK)
    def remove_network(self, name: str) -> None:
        """DELETE a network."""
        self.ask(lambda unit: unit.network(name).remove())

    @rule(name=MANAGER, wanted=st.sampled_from(MANAGER_REQUESTS))
    def create_manager(self, name: str, wanted: ContainerManagerRequest) -> None:
        """PUT a container manager."""
        self.ask(fleet_commands.create_container_manager, self.secrets, name, wanted)

    @rule(name=MANAGER)
    def remove_manager(self, name: str) -> None:
        """DELETE a container manager."""
        self.ask(fleet_commands.remove_container_manager, self.secrets, name)

    @rule(address=ADDRESS, cluster=st.none() | NAME, key=st.sampled_from([b"key-1", b"junk"]))
    def register(self, address: str, cluster: str | None, key: bytes) -> None:
        """PUT a host."""
        self.ask(fleet_commands.register_host, self.secrets, address, request(cluster, key))

    @rule(address=ADDRESS)
    def remove_host(self, address: str) -> None:
        """DELETE a host."""
        self.ask(fleet_commands.remove_host, self.secrets, address)

    @rule(name=NAME, address=ADDRESS)
    def join(self, name: str, address: str) -> None:
        """PUT a member."""
        self.ask(fleet_commands.join, name, address)

    @rule(name=NAME, address=ADDRESS)
    def leave(self, name: str, address: str) -> None:
        """DELETE a member."""
        self.ask(fleet_commands.leave, name, address)

    @rule(name=NAME, old=LIST, new=LIST, informed=st.booleans())
    def replace(self, name: str, old: list[str], new: list[str], informed: bool) -> None:
        """PUT a member list."""
        old = list(self.unit.cluster(name).members) if informed else old
        self.ask(fleet_commands.replace_members, name, old, new)
        if informed and self.unit.pending:
            assert set(self.unit.cluster(name).members) == set(new)

    @rule(name=NAME)
    def remove_cluster(self, name: str) -> None:
        """DELETE a cluster."""
        self.ask(fleet_commands.remove_cluster, name)

    @rule(address=ADDRESS, stale=st.booleans())
    def settle(self, address: str, stale: bool) -> None:
        """A look that went well, perhaps of an earlier registration."""
        subject = Subject(address, self.unit.host(address).incarnation - stale)
        self.unit.did()
        self.ask(investigation.settle, subject, FACTS)
        assert not (stale and self.unit.pending)

    @rule(address=ADDRESS, stale=st.booleans(), run=RUN)
    def set_up(self, address: str, stale: bool, run: str) -> None:
        """A look that may find something to install, and the next step of that."""
        subject = Subject(address, self.unit.host(address).incarnation - stale)
        self.unit.did()
        was_ready = self.unit.host(address).status in READY
        self.ask(bootstrap.begin, subject, FACTS)
        self.ask(bootstrap.send_step, subject, "packages", run, "green")
        assert not (stale and self.unit.pending)
        assert not (was_ready and self.unit.host(address).step)

    @rule(address=ADDRESS, run=RUN, how=st.sampled_from(["done", "failed", "cut short", "set up"]))
    def end_step(self, address: str, run: str, how: str) -> None:
        """A step came to its end, perhaps another one than the log knows of."""
        subject = Subject(address, self.unit.host(address).incarnation)
        match how:
            case "done":
                self.ask(bootstrap.finish_step, subject, run, [], {})
            case "set up":
                self.ask(bootstrap.finish, subject)
            case _:
                self.ask(bootstrap.fail_step, subject, run, "It broke.", [], {})
                if how == "failed":
                    self.ask(investigation.fail, subject, "setup", "It broke.")

    @rule(name=MANAGER, address=ADDRESS, found=st.booleans(), cordoned=st.booleans())
    def tell(self, name: str, address: str, found: bool, cordoned: bool) -> None:
        """A container manager was told something, perhaps what is not wished any more."""
        self.ask(lambda unit: node_outcomes.registered(unit, name, address, found=found))
        self.ask(lambda unit: node_outcomes.removed(unit, self.secrets, name, address, left=found))
        if cordoned:
            self.ask(lambda unit: unit.container_manager(name).want_uncordon(address, "op"))
        else:
            self.ask(lambda unit: node_outcomes.uncordoned(unit, self.secrets, name, address, "op"))

    @rule(name=MANAGER)
    def give_up(self, name: str) -> None:
        """A container manager that should be gone was not told in time."""
        self.ask(lambda unit: node_outcomes.give_up(unit, self.secrets, name))

    @rule(address=ADDRESS, reason=st.sampled_from(["off", "on fire"]))
    def fail(self, address: str, reason: str) -> None:
        """A look that did not."""
        subject = Subject(address, self.unit.host(address).incarnation)
        self.ask(investigation.fail, subject, "unreachable", reason)

    @rule(address=ADDRESS, fingerprint=st.sampled_from(["SHA256:a", "SHA256:b"]))
    def contact(self, address: str, fingerprint: str) -> None:
        """A host shows its key."""
        subject = Subject(address, self.unit.host(address).incarnation)
        self.ask(investigation.pin_key, subject, "rsa", fingerprint)
        self.ask(investigation.refuse_key, subject, fingerprint, "Another key.")

    @invariant()
    def both_sides_of_a_membership_agree(self) -> None:
        """In one cluster at most, and each side says the same."""
        inside = [(a, c.name) for c in self.unit.clusters.values() for a in c.members]
        said = [(h.name, h.cluster) for h in self.unit.hosts.values() if h.cluster]
        assert sorted(inside) == sorted(said)
        assert all(not host.cluster or host.registered for host in self.unit.hosts.values())
        assert all(c.exists or not c.members for c in self.unit.clusters.values())

    @invariant()
    def what_a_cluster_uses_is_there_and_knows_it(self) -> None:
        """Nothing that is used can go, and nothing stays used by who is gone."""
        clusters = [c for c in self.unit.clusters.values() if c.exists]
        for network in self.unit.networks.values():
            users = {c.name for c in clusters if c.network == network.name}
            assert network.exists or not users
            assert network.clusters == (set() if network.name == "default" else users)
        for manager in self.unit.container_managers.values():
            users = {c.name for c in clusters if c.container_manager == manager.name}
            assert manager.exists or not users
            assert manager.clusters == users
            assert (manager.id in self.secrets.kept) == manager.has_token

    @invariant()
    def the_nodes_of_a_manager_are_the_hosts_that_were_active(self) -> None:
        """Of one that has to be told, the others that are set up are wanted."""
        clusters = self.unit.clusters
        for manager in self.unit.container_managers.values():
            members = [
                host
                for host in self.unit.hosts.values()
                if host.cluster and clusters[host.cluster].container_manager == manager.name
            ]
            active = {host.name for host in members if "active" in (host.status, host.was)}
            settled = {host.name for host in members if host.status in READY}
            assert active <= manager.nodes <= {host.name for host in members}
            assert settled <= manager.nodes | manager.wanted
            assert not manager.wanted & manager.nodes
            assert not manager.unwanted & (manager.nodes | manager.wanted)
            if manager.keeps_nodes_itself:
                assert manager.nodes == active
                assert not manager.has_wishes

    @invariant()
    def wishes_have_somebody_to_be_told(self) -> None:
        """Nothing is left of a manager that is gone."""
        for manager in self.unit.container_managers.values():
            assert manager.state or not (manager.has_wishes or manager.marks or manager.nodes)
            assert manager.state != "leaving" or manager.has_wishes
            assert manager.marks.keys() >= manager.wanted | manager.unwanted

    @invariant()
    def only_members_are_active_and_keys_are_kept_of_registered_hosts_only(self) -> None:
        """What the rest of the fleet's state follows from."""
        for host in self.unit.hosts.values():
            assert host.status != "active" or host.cluster
            assert (host.id in self.secrets.kept) == host.registered
            assert (host.status == "failed") == (host.failure is not None) == (host.was != "")

    @invariant()
    def a_step_is_on_its_way_only_to_a_host_that_is_being_set_up(self) -> None:
        """Nobody that works is touched."""
        for host in self.unit.hosts.values():
            assert host.step is None or "bootstrapping" in (host.status, host.was)

    def teardown(self) -> None:
        """The events of each stream add up to the same state."""
        self.unit.did()
        streams: dict[str, list[Any]] = {}
        for event in self.unit.history:
            streams.setdefault(event.originator_id, []).append(event)
        for subject in everything(self.unit):
            replayed = type(subject).replay(subject.name, streams.get(subject.id, []))
            assert plain(replayed) == plain(subject)
        for cluster in self.unit.clusters.values():
            replayed = type(cluster).replay(cluster.name, streams.get(cluster.id, []))
            assert list(replayed.members) == list(cluster.members)


def plain(aggregate: Any) -> dict[str, Any]:
    """The state, without what belongs to a command on its way."""
    return {k: v for k, v in vars(aggregate).items() if k not in ("act", "pending")}


def everything(unit: MemoryUnit) -> list[Aggregate[Any]]:
    """Every subject that was ever asked for."""
    kept = (unit.hosts, unit.clusters, unit.networks, unit.container_managers)
    return [subject for kind in kept for subject in kind.values()]


def state(unit: MemoryUnit) -> dict[str, Any]:
    """The state of everything."""
    # Copied: a command that is refused half-way has changed sets of what is then reloaded.
    found = {subject.id: deepcopy(plain(subject)) for subject in everything(unit)}
    return {key: {**value, "facts": None} for key, value in found.items() if value["version"]}


TestRandomFleet = RandomFleet.TestCase
TestRandomFleet.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
