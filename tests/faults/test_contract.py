"""Random requests, restarts and kills: the service and a small model of the contract agree."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as use_seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.client import NO_SSHD_PORT, Answer, Client
from tests.faults.fake_host import FakeHosts
from tests.faults.models.contract_model import CHECKED, Model
from tests.faults.models.infrastructure_model import (
    MANAGER_BODIES,
    NETWORK_BODIES,
    TRIVIAL_BODIES,
    Said,
)
from tests.faults.models.whole import database_of, must_be_whole
from tests.fleet.keys import new_key
from tests.support.service import Service, wait_for

EXAMPLES, STEPS = 4, 20
PROOF_EXAMPLES, PROOF_STEPS = 7, 60
PROOF_SEEDS = range(2, 14)

REACHABLE = ["127.90.0.1", "127.90.0.2", "127.90.0.3", "127.90.0.4"]
UNREACHABLE = ["127.91.0.1", "127.91.0.2"]
KEYS = [base64.b64encode(new_key().private).decode() for _ in range(2)]
SETTLED_TIMEOUT_S = 30.0
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")

names = st.sampled_from(["web", "db", "Web"])
networks = st.sampled_from(["net", "mesh", "default"])
managers = st.sampled_from(["trivial", "kube"])
"""Only the first is one of a cluster: nobody answers for the second."""
addresses = st.sampled_from(REACHABLE + UNREACHABLE)
some_addresses = st.lists(addresses, max_size=5)


class Comparison(RuleBasedStateMachine):
    """One service for all examples; each example begins with an empty fleet."""

    service: Service
    hosts: FakeHosts
    steps = 0
    """How many were taken and compared, in all examples."""

    @initialize()
    def begin_empty(self) -> None:
        """Nothing is left of the example before."""
        self.client = Client(self.service)
        for name in self.client.get("/clusters"):
            assert self.client.delete(f"/cluster/{name}").status == 200
        for host in self.client.get("/hosts"):
            assert self.client.delete(f"/host/{host['address']}").status == 200
        for kind in ("network", "containermanager"):
            for name in self.client.get(f"/{kind}s"):
                wanted = 409 if name == "default" else 200
                assert self.client.delete(f"/{kind}/{name}").status == wanted
        self.model = Model(REACHABLE)

    # Hosts

    @rule(
        address=addresses,
        key=st.sampled_from([*KEYS[:1] * 4, KEYS[1]]),
        cluster=st.none() | names,
        user=st.sampled_from([None, None, "root", "ops"]),
    )
    def put_host(self, address: str, key: str, cluster: str | None, user: str | None) -> None:
        """Register, again, or otherwise."""
        port = self.hosts.port if address in REACHABLE else NO_SSHD_PORT
        wanted = {"cluster": cluster, "remote_user": user}
        body = {"ssh_priv_key": key, "ssh_port": port}
        body |= {name: value for name, value in wanted.items() if value is not None}
        answer = self.client.put(f"/host/{address}", body)
        agree(answer, self.model.put_host(address, key, cluster, user, port))
        if answer.status == 201:
            self.wait_until_settled(address)

    @rule(address=addresses)
    def delete_host(self, address: str) -> None:
        """Remove."""
        agree(self.client.delete(f"/host/{address}"), self.model.delete_host(address))

    @rule(address=addresses)
    def get_creds(self, address: str) -> None:
        """Read the key."""
        said = self.model.get_creds(address)
        agree(self.client.request("GET", f"/host/{address}/creds"), said)

    # Clusters

    @rule(
        name=names,
        network=st.sampled_from(["default"] * 3 + ["net", "mesh"]),
        manager=st.sampled_from(["", "", "trivial", "trivial", "none"]),
    )
    def put_cluster(self, name: str, network: str, manager: str) -> None:
        """Create, again, or otherwise."""
        body = {"network": network, "container_manager": manager}
        answer = self.client.put(f"/cluster/{name}", body)
        agree(answer, self.model.put_cluster(name, network, manager))

    @rule(name=names)
    def delete_cluster(self, name: str) -> None:
        """Remove."""
        agree(self.client.delete(f"/cluster/{name}"), self.model.delete_cluster(name))

    # Networks and container managers

    @rule(name=networks, body=st.sampled_from(NETWORK_BODIES))
    def put_network(self, name: str, body: dict[str, Any]) -> None:
        """Create, again, otherwise, or wrong."""
        agree(self.client.put(f"/network/{name}", body), self.model.networks.put(name, body))

    @rule(name=networks)
    def delete_network(self, name: str) -> None:
        """Remove."""
        agree(self.client.delete(f"/network/{name}"), self.model.delete_network(name))

    @rule(body=st.sampled_from(TRIVIAL_BODIES))
    def put_trivial_manager(self, body: dict[str, Any]) -> None:
        """Create, or again."""
        answer = self.client.put("/containermanager/trivial", body)
        agree(answer, self.model.container_managers.put("trivial", body))

    @rule(body=st.sampled_from(MANAGER_BODIES))
    def put_manager(self, body: dict[str, Any]) -> None:
        """Create, again, otherwise, or wrong."""
        answer = self.client.put("/containermanager/kube", body)
        agree(answer, self.model.container_managers.put("kube", body))

    @rule(name=managers)
    def delete_manager(self, name: str) -> None:
        """Remove."""
        answer = self.client.delete(f"/containermanager/{name}")
        agree(answer, self.model.delete_container_manager(name))

    # Members

    @rule(name=names, address=addresses)
    def put_member(self, name: str, address: str) -> None:
        """Join."""
        answer = self.client.put(f"/cluster/{name}/hosts/{address}")
        agree(answer, self.model.put_member(name, address))

    @rule(name=names, address=addresses)
    def delete_member(self, name: str, address: str) -> None:
        """Leave."""
        answer = self.client.delete(f"/cluster/{name}/hosts/{address}")
        agree(answer, self.model.delete_member(name, address))

    @rule(name=names, old=some_addresses, new=some_addresses)
    def put_members(self, name: str, old: list[str], new: list[str]) -> None:
        """Swap the list, mostly with the wrong `old`."""
        answer = self.client.put(f"/cluster/{name}/hosts", {"old": old, "new": new})
        agree(answer, self.model.put_members(name, old, new))

    @precondition(lambda self: self.model.clusters)
    @rule(data=st.data(), new=some_addresses, stay=st.booleans())
    def put_members_with_the_right_old(self, data: Any, new: list[str], stay: bool) -> None:
        """Swap the list as somebody does who has read it."""
        name = data.draw(st.sampled_from(sorted(self.model.clusters)))
        old = data.draw(st.permutations(self.model.clusters[name].members))
        new = [*old, *new] if stay else new
        answer = self.client.put(f"/cluster/{name}/hosts", {"old": old, "new": new})
        agree(answer, self.model.put_members(name, old, new))

    # Faults

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        """As an operator does, or kill -9."""
        if crash:
            self.service.kill()
        else:
            assert self.service.stop() == 0
        self.service.start()

    @invariant()
    def every_read_agrees(self) -> None:
        """All resources, after every step."""
        type(self).steps += 1
        model = self.model
        expected = {"/clusters": model.get_clusters(), "/hosts": model.get_hosts()}
        for name in ("web", "db"):
            expected[f"/cluster/{name}"] = model.get_cluster(name)
            expected[f"/cluster/{name}/hosts"] = model.get_members(name)
        expected["/networks"] = model.networks.get_all()
        expected["/containermanagers"] = model.container_managers.get_all()
        expected["/network/net"] = model.networks.get("net")
        for name in ("trivial", "kube"):
            expected[f"/containermanager/{name}"] = model.container_managers.get(name)
        for address in (REACHABLE[0], UNREACHABLE[0]):
            expected[f"/host/{address}"] = model.get_host(address)
            expected[f"/host/{address}/status"] = model.get_host_status(address)
            expected[f"/cluster/web/hosts/{address}"] = model.get_member("web", address)
        for path, said in expected.items():
            agree(self.client.request("GET", path), said)

    def teardown(self) -> None:
        """Hang up."""
        self.client.close()

    def wait_until_settled(self, address: str) -> None:
        """Until the service has looked at a host: what the model says at once."""
        wanted = self.model.status(address)
        wait_for(lambda: self.client.get(f"/host/{address}")["status"] == wanted, SETTLED_TIMEOUT_S)


def agree(answer: Answer, said: Said) -> None:
    """The same status, and where it is a success the same body."""
    assert (answer.status, answer.body if answer.status < 400 else None) == (
        said.status,
        timed(said.body, answer.body),
    )
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.body["status"] == answer.status


def timed(expected: Any, actual: Any) -> Any:
    """What is expected, with the times of checks as they are, if they are times."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return {key: timed(value, actual.get(key)) for key, value in expected.items()}
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [timed(*pair) for pair in zip(expected, actual, strict=True)]
    if expected == CHECKED and isinstance(actual, str) and TIME.fullmatch(actual):
        return actual
    return expected


@pytest.fixture
def hosts() -> Iterator[FakeHosts]:
    """Hosts that answer at once."""
    hosts = FakeHosts(REACHABLE)
    yield hosts
    hosts.close()


def compare(
    seed: int, examples: int, steps: int, service: Service, hosts: FakeHosts, database_url: str
) -> None:
    """Run the machine on a service that runs already; the seed chooses everything."""

    @use_seed(seed)
    class Seeded(Comparison):
        pass

    Seeded.service, Seeded.hosts = service, hosts
    run_state_machine_as_test(
        Seeded,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            # A service that was restarted is not the one before: shrinking would mislead.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Seeded.steps > examples * steps // 4  # examples vary in length
    must_be_whole(database_of(service, database_url))


@pytest.mark.dear_on("sqlite")
@pytest.mark.parametrize("seed", [1])
def test_the_service_and_a_model_of_the_contract_agree_on_random_requests(
    seed: int, service: Service, hosts: FakeHosts, database_url: str
) -> None:
    compare(seed, EXAMPLES, STEPS, service, hosts, database_url)


@pytest.mark.proof
@pytest.mark.parametrize("seed", PROOF_SEEDS)
def test_they_agree_on_long_runs_of_requests_with_restarts_and_kills(
    seed: int, service: Service, hosts: FakeHosts, database_url: str
) -> None:
    compare(seed, PROOF_EXAMPLES, PROOF_STEPS, service, hosts, database_url)
