"""`/containermanagers` and `/containermanager/{name}`."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe

import httpx
import pytest

from domain.aggregates.container_manager import MASK
from domain.log.recorder import entries
from runners.security.vault import NoSecret
from tests.web.service import WebService

SEED = {"type": "openshift", "options": {"apiserver": "https://192.168.152.101:8080/api/"}}
URL = "https://master.example.com:8443"


@pytest.fixture
def token() -> str:
    """A token that nobody else has."""
    return token_urlsafe(24)


def with_token(token: str, **more: object) -> dict[str, object]:
    """A body."""
    return {"type": "kubernetes", "options": {"server_url": URL, "token": token, **more}}


def kept(service: WebService, name: str) -> bytes | None:
    """The token in the vault."""
    with service.engine.snapshot() as tx:
        try:
            return service.vault.reveal(tx, f"container_manager/{name}", "ada")
        except NoSecret:
            return None


def written(service: WebService, directory: Path) -> Iterator[bytes]:
    """Everything that the service told or stored."""
    yield repr(service.log).encode()
    yield repr(service.events).encode()
    with service.engine.snapshot() as tx:
        for entry in entries(tx, 0, 1_000):
            yield bytes(entry.stored.state)
        yield repr(tx.execute("SELECT * FROM container_managers").fetchall()).encode()
        yield repr(tx.execute("SELECT * FROM vault").fetchall()).encode()
    for path in directory.iterdir():
        yield path.read_bytes()


def test_names_are_listed_sorted(api: httpx.Client) -> None:
    assert api.get("/containermanagers").json() == []
    for name in ("prod", "Lab", "a_1"):
        assert api.put(f"/containermanager/{name}", json=SEED).status_code == 201
    for path in ("/containermanagers", "/containermanagers/"):
        assert api.get(path).json() == ["Lab", "a_1", "prod"]


def test_put_answers_the_record_as_it_was_sent_and_get_answers_the_same_bytes(
    api: httpx.Client,
) -> None:
    files = {
        "ca_path": "/etc/ca.pem",
        "server_url": URL,
        "certificate_path": "/etc/c.pem",
        "certificate_key_path": "/etc/k.pem",
    }
    for name, body in (
        ("prod", SEED),
        ("files", {"type": "kubernetes", "options": files}),
        ("lab", {"type": "trivial", "options": {}}),
    ):
        put = api.put(f"/containermanager/{name}", json={"name": "other", **body})
        assert put.status_code == 201
        assert put.json() == {"name": name, **body}
        assert list(put.json()) == ["name", "type", "options"]
        get = api.get(f"/containermanager/{name}")
        assert (get.status_code, get.content) == (200, put.content)
    assert list(api.get("/containermanager/files").json()["options"]) == list(files)


def test_openshift_is_the_type_where_none_is_said(api: httpx.Client) -> None:
    answer = api.put("/containermanager/prod", json={"options": {"server_url": URL}})
    assert answer.json()["type"] == "openshift"


def test_a_token_is_shown_masked_kept_in_the_vault_and_nowhere_else(
    service: WebService, api: httpx.Client, token: str, tmp_path: Path
) -> None:
    put = api.put("/containermanager/prod", json=with_token(token))
    assert put.status_code == 201
    shown = {"name": "prod", **with_token(MASK)}
    assert put.json() == api.get("/containermanager/prod").json() == shown
    assert kept(service, "prod") == token.encode()
    for wrong in (with_token(f"{token} "), with_token(token, ca_path=1), with_token(token + "x")):
        assert token not in api.put("/containermanager/prod", json=wrong).text
    assert all(token.encode() not in place for place in written(service, tmp_path))


def test_the_true_token_or_its_mask_is_the_same_request_and_no_event(
    service: WebService, api: httpx.Client, token: str
) -> None:
    first = api.put("/containermanager/prod", json=with_token(token))
    for again in (token, MASK, token):
        answer = api.put("/containermanager/prod", json=with_token(again))
        assert (answer.status_code, answer.content) == (201, first.content)
    assert api.put("/containermanager/prod", json=first.json()).status_code == 201
    assert service.topics() == ["container_manager.created"]
    assert kept(service, "prod") == token.encode()


def test_another_token_is_409_and_changes_nothing(
    service: WebService, api: httpx.Client, token: str
) -> None:
    api.put("/containermanager/prod", json=with_token(token))
    for other in (token_urlsafe(24), token[:-1], f"{token}=", MASK[:-1]):
        answer = api.put("/containermanager/prod", json=with_token(other))
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == "options.token"
    without = api.put(
        "/containermanager/prod", json=with_token(token) | {"options": {"server_url": URL}}
    )
    assert without.status_code == 409
    assert kept(service, "prod") == token.encode()


def test_the_mask_for_one_that_has_no_token_yet_is_400(
    service: WebService, api: httpx.Client, token: str
) -> None:
    api.put("/containermanager/bare", json={"type": "kubernetes", "options": {"server_url": URL}})
    api.put("/containermanager/gone", json=with_token(token))
    api.delete("/containermanager/gone")
    happened = service.topics()
    for name in ("bare", "gone", "new"):
        answer = api.put(f"/containermanager/{name}", json=with_token(MASK))
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["key"] == "options.token"
        assert kept(service, name) is None
    assert service.topics() == happened


def test_deleting_one_destroys_its_token_and_it_may_come_back_with_another(
    service: WebService, api: httpx.Client, token: str
) -> None:
    api.put("/containermanager/prod", json=with_token(token))
    gone = api.delete("/containermanager/prod")
    assert (gone.status_code, gone.json()) == (200, [])
    assert kept(service, "prod") is None
    assert api.get("/containermanager/prod").status_code == 404
    assert api.delete("/containermanager/prod").status_code == 404
    other = token_urlsafe(24)
    assert api.put("/containermanager/prod", json=with_token(other)).status_code == 201
    assert kept(service, "prod") == other.encode()


def test_either_name_of_the_url_and_the_path_of_the_api_say_the_same(api: httpx.Client) -> None:
    first = api.put("/containermanager/prod", json=SEED)
    for options in (
        {"server_url": "https://192.168.152.101:8080/api/"},
        {"server_url": "https://192.168.152.101:8080"},
        {"apiserver": "https://192.168.152.101:8080/"},
    ):
        again = api.put("/containermanager/prod", json={"options": options})
        assert (again.status_code, again.content) == (201, first.content)


def test_other_values_are_409_and_name_the_key(api: httpx.Client) -> None:
    api.put("/containermanager/prod", json=SEED)
    for body, key in (
        ({**SEED, "type": "kubernetes"}, "type"),
        ({"type": "trivial"}, "type"),
        ({"options": {"server_url": URL}}, "options.server_url"),
        ({"options": {**SEED["options"], "ca_path": "/ca"}}, "options.ca_path"),  # type: ignore[dict-item] # it is a dict
    ):
        answer = api.put("/containermanager/prod", json=body)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == key
    assert api.get("/containermanager/prod").json() == {"name": "prod", **SEED}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "options.server_url"),
        ({"type": "swarm"}, "type"),
        ({"type": ["openshift"]}, "type"),
        ({"options": [URL]}, "options"),
        ({"options": {"server_url": "master:8443"}}, "options.server_url"),
        ({"options": {"server_url": URL, "tokn": "hidden-word"}}, "options.tokn"),
        ({"options": {"server_url": URL, "token": ["hidden-word"]}}, "options.token"),
        ({"options": {"server_url": "https://u:hidden-word@a"}}, "options.server_url"),
        (
            {"options": {"server_url": URL, "certificate_path": "/c"}},
            "options.certificate_key_path",
        ),
        ({"type": "trivial", "options": {"token": "hidden-word"}}, "options.token"),
    ],
)
def test_a_body_that_makes_no_sense_is_400_named_and_not_shown_back(
    client: httpx.Client, front: WebService, body: dict[str, object], key: str
) -> None:
    client.put("/containermanager/there", json=SEED)
    for name in ("absent", "there"):
        answer = client.put(f"/containermanager/{name}", json=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["key"] == key
        assert "hidden-word" not in answer.text
    assert "hidden-word" not in repr(front.log)
    assert client.get("/containermanager/absent").status_code == 404


def test_one_that_is_not_there_is_404(client: httpx.Client) -> None:
    for verb in ("GET", "DELETE"):
        for name in ("none", "a.b", "%FF"):
            assert client.request(verb, f"/containermanager/{name}").status_code == 404
    assert client.put("/containermanager/a.b", json=SEED).status_code == 400


def test_one_that_a_cluster_uses_cannot_be_deleted_and_keeps_its_token(
    service: WebService, api: httpx.Client, token: str
) -> None:
    api.put("/containermanager/prod", json=with_token(token))
    created = api.put("/cluster/web", json={"container_manager": "prod"})
    assert (created.status_code, created.json()["container_manager"]) == (201, "prod")
    refused = api.delete("/containermanager/prod")
    assert refused.status_code == 409
    assert "web" in refused.json()["detail"]
    assert kept(service, "prod") == token.encode()
    api.delete("/cluster/web")
    assert api.delete("/containermanager/prod").status_code == 200
    assert api.put("/cluster/web", json={"container_manager": "prod"}).status_code == 409


def test_a_cluster_that_exists_with_another_one_is_409(api: httpx.Client) -> None:
    for name in ("prod", "lab"):
        api.put(f"/containermanager/{name}", json={"type": "trivial"})
    body = {"container_manager": "prod"}
    assert api.put("/cluster/web", json=body).status_code == 201
    assert api.put("/cluster/web", json=body).status_code == 201
    for other in ({}, {"container_manager": "lab"}, {"container_manager": "none"}):
        answer = api.put("/cluster/web", json=other)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == "container_manager"


def test_a_member_of_a_trivial_cluster_is_active_and_its_status_has_the_node(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/containermanager/lab", json={"type": "trivial"})
    api.put("/cluster/web", json={"container_manager": "lab"})
    api.put("/host/10.0.0.1", json={"ssh_priv_key": key, "cluster": "web"})

    def reported() -> object:
        return api.get("/host/10.0.0.1/status").json()["container_manager"]

    assert reported() == {}
    service.settle("10.0.0.1")
    assert api.get("/host/10.0.0.1").json()["status"] == "active"
    tag = api.get("/host/10.0.0.1/status").headers["ETag"]
    assert reported() == {"node": "10.0.0.1", "status": "ok"}
    api.delete("/cluster/web/hosts/10.0.0.1")
    assert reported() == {}
    assert api.get("/host/10.0.0.1/status").headers["ETag"] != tag
    api.put("/cluster/web/hosts/10.0.0.1")
    assert reported() == {"node": "10.0.0.1", "status": "ok"}
    api.delete("/cluster/web")
    assert reported() == {}
    assert api.delete("/containermanager/lab").status_code == 200


def test_a_member_of_another_cluster_waits_and_is_told_of_by_nobody(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/containermanager/prod", json=SEED)
    api.put("/cluster/web", json={"container_manager": "prod"})
    api.put("/host/10.0.0.1", json={"ssh_priv_key": key, "cluster": "web"})
    service.settle("10.0.0.1")
    status = api.get("/host/10.0.0.1/status").json()
    assert (status["host"]["status"], status["container_manager"]) == ("disassociated", {})
    assert api.get("/cluster/web").json()["status"] == "failed"


def test_get_carries_a_weak_etag_that_changes_only_with_the_record(
    api: httpx.Client, token: str
) -> None:
    api.put("/containermanager/prod", json=with_token(token))
    for path in ("/containermanagers", "/containermanager/prod"):
        tag = api.get(path).headers["ETag"]
        assert tag.startswith('W/"')
        assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    tag = api.get("/containermanager/prod").headers["ETag"]
    api.put("/cluster/web", json={"container_manager": "prod"})
    assert api.get("/containermanager/prod").headers["ETag"] == tag


def test_viewers_and_operators_look_and_only_admins_change(
    front: WebService, client: httpx.Client, token: str
) -> None:
    client.put("/containermanager/roles", json=with_token(token))
    for user in ("viewer", "operator"):
        with front.client(user) as other:
            assert "roles" in other.get("/containermanagers").json()
            shown = other.get("/containermanager/roles")
            assert shown.json()["options"]["token"] == MASK
            assert other.put("/containermanager/mine", json=SEED).status_code == 403
            assert other.delete("/containermanager/roles").status_code == 403
    assert client.delete("/containermanager/roles").status_code == 200
