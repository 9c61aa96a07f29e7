"""Roles in some clusters: every route, with every role, in every cluster."""

from collections.abc import Iterator
from itertools import product
from typing import Any, get_args

import httpx
import pytest

from domain.roles import ROLES, Role
from tests.web.service import TIMEOUT_S, WebService, base64_of, new_key
from web.routing.route import Route

WORD = "made up"
HOSTS = {"web": "10.1.0.1", "db": "10.1.0.2", "": "10.1.0.3"}
"""A host in each cluster, and one in none."""
UNKNOWN_QUERY = {"no_such_key": "1"}
"""Is told (400) to those alone who may do what they ask for: nothing is done."""


class Stage:
    """A fleet of two clusters, and users with each role in `web`, who are viewers elsewhere."""

    def __init__(self, service: WebService) -> None:
        self.service = service
        self.operations: dict[str, str] = {}
        self.users: dict[Role, httpx.Client] = {}
        with service.client() as admin:
            key = base64_of(new_key())
            for cluster, address in HOSTS.items():
                if cluster:
                    assert admin.put(f"/cluster/{cluster}").status_code == 201
                asked = {"ssh_priv_key": key} | ({"cluster": cluster} if cluster else {})
                assert admin.put(f"/host/{address}", json=asked).status_code == 201
                service.settle(address)
                if cluster:
                    begun = admin.put(f"/cluster/{cluster}/restart")
                    name = self.operations[cluster] = begun.headers["Location"].rpartition("/")[2]
                    over = admin.put(f"/operation/{name}/state", json={"state": "cancelled"})
                    assert over.status_code == 201
                    plan = {"cron": "0 0 1 1 *", "zone": "UTC"}
                    operation = {"kind": "restart", "cluster": cluster}
                    planned = admin.put(
                        f"/schedule/{cluster}", json=plan | {"operation": operation}
                    )
                    assert planned.status_code == 201
            for role in get_args(Role):
                user = {"role": "viewer", "clusters": {"web": role}, "password": WORD}
                assert admin.put(f"/user/in-web-{role}", json=user).status_code == 201
                self.users[role] = httpx.Client(
                    auth=(f"in-web-{role}", WORD), timeout=TIMEOUT_S, base_url=service.url
                )

    def path(self, route: Route, cluster: str) -> str:
        """A path that acts on this cluster."""
        values = {"name": cluster or "none", "address": HOSTS[cluster], "id": "0"}
        if route.acts_on == "operation":
            values["id"] = self.operations.get(cluster, "0193-0")
        return route.path.format(**values, user="eve", token="eve", session="eve")  # noqa: S106


@pytest.fixture(scope="module")
def stage(front: WebService) -> Iterator[Stage]:
    built = Stage(front)
    yield built
    for client in built.users.values():
        client.close()


def allowed(route: Route, role_in_web: Role, cluster: str) -> bool:
    """What the table says."""
    takes = route.audience
    assert takes in ROLES
    there: Role = role_in_web if route.acts_on and cluster == "web" else "viewer"
    return ROLES.index(there) >= ROLES.index(takes)


def test_a_role_in_a_cluster_counts_in_that_cluster_alone_at_every_route(stage: Stage) -> None:
    walked = 0
    for route, role, cluster in product(stage.service.table, get_args(Role), HOSTS):
        if not route.is_private or route.acts_on == "body" or not route.is_api:
            continue
        answer = stage.users[role].request(
            route.verb, stage.path(route, cluster), params=UNKNOWN_QUERY
        )
        wanted = 400 if allowed(route, role, cluster) else 403
        assert answer.status_code == wanted, (route.verb, route.path, role, cluster)
        walked += 1
    assert walked > 300


BODIES: dict[str, dict[str, Any]] = {
    "/api/v0/host": {"ssh_priv_key": "bm8ga2V5"},
    "/api/v0/host/{address}": {"ssh_priv_key": "bm8ga2V5"},
    "/api/v0/operations": {"kind": "restart", "dry_run": True},
    "/api/v0/fleet/check": {"status": "bootstrapping"},
    "/api/v0/schedule/{name}": {"cron": "never", "zone": "UTC", "operation": {"kind": "restart"}},
}
"""By the path of each route that acts on the cluster of its body: changes nothing."""


def test_where_the_body_names_the_cluster_the_role_in_that_cluster_counts(stage: Stage) -> None:
    of_body = [route for route in stage.service.table if route.acts_on == "body"]
    assert {route.path for route in of_body} == set(BODIES)
    for route, role, cluster in product(of_body, get_args(Role), HOSTS):
        body = BODIES[route.path] | ({"cluster": cluster} if cluster else {})
        if (route.path == "/api/v0/operations" or "operation" in body) and not cluster:
            continue  # an operation is always on one
        if "operation" in body:
            body["operation"] |= {"cluster": body.pop("cluster")}
        path = route.path.format(address="10.1.0.9", name="made-up")
        answer = stage.users[role].request(route.verb, path, json=body)
        may = ROLES.index(role) >= ROLES.index("operator") and cluster == "web"
        assert (answer.status_code != 403) == may, (route.path, role, cluster, answer.text)
        assert answer.status_code < 500


def test_whoever_has_a_role_in_a_cluster_works_there(stage: Stage) -> None:
    operator = stage.users["operator"]
    api = "/api/v0"
    key = base64_of(new_key())
    body = {"ssh_priv_key": key, "cluster": "web"}
    assert operator.put(f"{api}/host/10.1.0.8", json=body).status_code == 201
    assert operator.put(f"{api}/host/10.1.0.8/labels", json={"a": "b"}).status_code == 200
    assert operator.delete(f"{api}/host/10.1.0.8").status_code == 200
    paused = {"state": "paused"}
    ours, theirs = (f"{api}/operation/{stage.operations[c]}/state" for c in ("web", "db"))
    assert operator.put(ours, json=paused).status_code == 409  # it is over
    refused = operator.put(theirs, json=paused)
    assert refused.status_code == 403
    assert refused.json()["detail"] == (
        "This takes the role 'operator'; in-web-operator has the role 'viewer', and 'operator' in"
        " cluster web."
    )
    assert operator.put(f"{api}/cluster/db/hosts/{HOSTS['']}").status_code == 403
    creds = f"{api}/host/{HOSTS['web']}/creds"
    refused = stage.users["admin"].get(creds)
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("This takes the role 'admin' everywhere; ")


def test_a_host_that_leaves_is_no_longer_theirs(stage: Stage) -> None:
    operator = stage.users["operator"]
    with stage.service.client() as admin:
        body = {"ssh_priv_key": base64_of(new_key()), "cluster": "web"}
        assert admin.put("/host/10.1.0.7", json=body).status_code == 201
        check = "/api/v0/host/10.1.0.7/labels"
        assert operator.put(check, json={"a": "1"}).status_code == 200
        assert admin.delete("/cluster/web/hosts/10.1.0.7").status_code == 200
        assert operator.put(check, json={"a": "2"}).status_code == 403
        assert admin.delete("/host/10.1.0.7").status_code == 200
