"""Random commands: the two sides of a membership never disagree, and replays give the same."""

import contextlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain import fleet, investigation
from domain.cluster import Cluster
from domain.host import Host
from domain.investigation import Subject
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

ADDRESS = st.sampled_from([f"10.0.0.{n}" for n in range(5)])
NAME = st.sampled_from(["web", "db"])
LIST = st.lists(ADDRESS, max_size=5)


class RandomFleet(RuleBasedStateMachine):
    """Whatever anybody may ask of a fleet, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = MemoryUnit()
        self.secrets = MemorySecrets()

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

    @rule(name=NAME)
    def create(self, name: str) -> None:
        """PUT a cluster."""
        self.ask(fleet.create_cluster, name, "default", "")

    @rule(address=ADDRESS, cluster=st.none() | NAME, key=st.sampled_from([b"key-1", b"junk"]))
    def register(self, address: str, cluster: str | None, key: bytes) -> None:
        """PUT a host."""
        self.ask(fleet.register_host, self.secrets, address, request(cluster, key))

    @rule(address=ADDRESS)
    def remove_host(self, address: str) -> None:
        """DELETE a host."""
        self.ask(fleet.remove_host, self.secrets, address)

    @rule(name=NAME, address=ADDRESS)
    def join(self, name: str, address: str) -> None:
        """PUT a member."""
        self.ask(fleet.join, name, address)

    @rule(name=NAME, address=ADDRESS)
    def leave(self, name: str, address: str) -> None:
        """DELETE a member."""
        self.ask(fleet.leave, name, address)

    @rule(name=NAME, old=LIST, new=LIST, informed=st.booleans())
    def replace(self, name: str, old: list[str], new: list[str], informed: bool) -> None:
        """PUT a member list."""
        old = list(self.unit.cluster(name).members) if informed else old
        self.ask(fleet.replace_members, name, old, new)
        if informed and self.unit.pending:
            assert set(self.unit.cluster(name).members) == set(new)

    @rule(name=NAME)
    def remove_cluster(self, name: str) -> None:
        """DELETE a cluster."""
        self.ask(fleet.remove_cluster, name)

    @rule(address=ADDRESS, stale=st.booleans())
    def settle(self, address: str, stale: bool) -> None:
        """A look that went well, perhaps of an earlier registration."""
        subject = Subject(address, self.unit.host(address).incarnation - stale)
        self.unit.did()
        self.ask(investigation.settle, subject, FACTS)
        assert not (stale and self.unit.pending)

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
    def only_members_are_active_and_keys_are_kept_of_registered_hosts_only(self) -> None:
        """What the rest of the fleet's state follows from."""
        for host in self.unit.hosts.values():
            assert host.status != "active" or host.cluster
            assert (host.id in self.secrets.kept) == host.registered
            assert (host.status == "failed") == (host.failure is not None) == (host.was != "")

    def teardown(self) -> None:
        """The events of each stream add up to the same state."""
        self.unit.did()
        streams: dict[str, list[Any]] = {}
        for event in self.unit.history:
            streams.setdefault(event.originator_id, []).append(event)
        for host in self.unit.hosts.values():
            assert plain(Host.replay(host.name, streams.get(host.id, []))) == plain(host)
        for cluster in self.unit.clusters.values():
            replayed = Cluster.replay(cluster.name, streams.get(cluster.id, []))
            assert plain(replayed) == plain(cluster)
            assert list(replayed.members) == list(cluster.members)


def plain(aggregate: Any) -> dict[str, Any]:
    """The state, without what belongs to a command on its way."""
    return {k: v for k, v in vars(aggregate).items() if k not in ("act", "pending")}


def state(unit: MemoryUnit) -> dict[str, Any]:
    """The state of everything."""
    found = {host.id: plain(host) for host in unit.hosts.values()}
    found |= {cluster.id: plain(cluster) for cluster in unit.clusters.values()}
    return {key: {**value, "facts": None} for key, value in found.items() if value["version"]}


TestRandomFleet = RandomFleet.TestCase
TestRandomFleet.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
