"""Everybody who may come to a service, at every route of it; who did what; tokens that end."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import httpx
import pytest

from domain.roles import ROLES, Role
from runners.security.users import UsersFile
from runners.settings.settings import Settings
from tests.end_to_end.access.test_secrets import assert_nowhere
from tests.runners.cli.test_cli import commissaire
from tests.support.certificates import Authority, Pair
from tests.support.service import Service, wait_for
from web.authentication.authentication import NO_PASSWORD

DOCUMENT = (Path(__file__).parents[3] / "docs" / "access.md").read_text()
LIMIT_S = 60.0

Kind = Literal["password", "token", "certificate"]


def documented_routes() -> list[tuple[str, str, str]]:
    """Verb, a path, and role of each route; `tests/web/authentication/test_roles.py` compares them
    with code."""
    rows = re.findall(
        r"^\| (GET|PUT|DELETE) \| `(\S+)` \| (\w+) \| [^|]*\|$", DOCUMENT, re.MULTILINE
    )
    return [(verb, re.sub(r"{\w+}", "10.250.0.1", path), role) for verb, path, role in rows]


@dataclass
class Place:
    """A service over TLS that takes everything."""

    service: Service
    authority: Authority

    def tool(self, *arguments: str) -> str:
        """What `commissaire …` prints, beside the service that runs."""
        done = commissaire(*arguments, "--data", str(self.service.data))
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def client(self, kind: Kind, role: Role) -> tuple[str, httpx.Client]:
        """The name and the client of somebody with this role, who logs in in this way."""
        match kind:
            case "password":
                return role, self.opened(auth=(role, self.service.password))
            case "token":
                token = self.tool("token", "create", f"{role}-program", "--role", role)
                return f"token:{role}-program", self.opened(token)
            case "certificate":
                name = f"{role}-machine"
                UsersFile(self.service.data / "users.json").add(name, NO_PASSWORD, role)
                return name, self.opened(pair=self.authority.client(name))

    def opened(
        self,
        token: str = "",
        pair: Pair | None = None,
        auth: tuple[str, str] | None = None,
    ) -> httpx.Client:
        """A client that has these credentials, or none."""
        return httpx.Client(
            base_url=self.service.url,
            verify=self.authority.trust(pair),
            auth=auth,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=LIMIT_S,
        )

    def changes(self, request_id: str) -> list[dict[str, object]]:
        """What the log says that came of a request."""
        lines = self.service.read_log().splitlines()
        said = [json.loads(line) for line in lines if '"change"' in line]
        return [line for line in said if line["correlation"] == request_id]


def status_of(client: httpx.Client, verb: str, path: str) -> int:
    """Of an answer that may have no end: the stream of events."""
    with client.stream(verb, path) as answer:
        return answer.status_code


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for the module."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    flags = [*authority.server().flags, "--tls-client-ca", str(authority.file)]
    service = Service(tmp_path_factory.mktemp("service"), None, *flags)
    service.trusted = authority.trust()
    with service:
        yield Place(service, authority)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_route_is_for_its_role_and_those_above_whoever_comes_however(
    place: Place, kind: Kind
) -> None:
    routes = documented_routes()
    assert len(routes) > 25
    for have in get_args(Role):
        name, client = place.client(kind, have)
        with client, place.opened() as nobody:
            for verb, path, takes in routes:
                stranger = status_of(nobody, verb, path)
                status = status_of(client, verb, path)
                assert stranger == (status if takes == "anyone" else 401), path
                allowed = takes == "anyone" or ROLES.index(have) >= ROLES.index(takes)
                assert (status != 403) == allowed, (name, verb, path)
                assert status < 500, (name, verb, path)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_event_says_who_asked_and_has_the_request_id_of_the_answer(
    place: Place, kind: Kind
) -> None:
    name, client = known(place, kind)
    api = "/api/v0"
    asked = {
        f"{api}/network/{kind}": {},
        f"{api}/containermanager/{kind}": {"type": "trivial"},
        f"{api}/cluster/{kind}": {"network": kind, "container_manager": kind},
    }
    for number, (path, body) in enumerate(asked.items()):
        chosen = {"X-Request-ID": f"{kind}-{number}"} if number else {"X-Request-ID": "no good id"}
        answer = client.put(path, json=body, headers=chosen)
        assert answer.status_code == 201
        assert number == 0 or answer.headers["X-Request-ID"] == chosen["X-Request-ID"]
        changes = place.changes(answer.headers["X-Request-ID"])
        assert changes
        assert {line["actor"] for line in changes} == {name}
    for path in reversed(asked):
        answer = client.delete(path)
        assert {line["actor"] for line in place.changes(answer.headers["X-Request-ID"])} == {name}
    client.close()
    assert "no good id" not in place.service.read_log()


def known(place: Place, kind: Kind) -> tuple[str, httpx.Client]:
    """An admin who was not there in another test."""
    match kind:
        case "password":
            return place.client(kind, "admin")
        case "token":
            token = place.tool("token", "create", "who", "--role", "admin")
            return "token:who", place.opened(token)
        case "certificate":
            UsersFile(place.service.data / "users.json").add("who", NO_PASSWORD, "admin")
            return "who", place.opened(pair=place.authority.client("who"))


def test_a_token_is_refused_as_soon_as_it_is_revoked_also_on_an_open_connection(
    place: Place,
) -> None:
    token = place.tool("token", "create", "short", "--role", "viewer", "--expires", "1h")
    with place.opened(token) as client:
        for _ in range(3):
            assert client.get("/api/v0/hosts").status_code == 200
        place.tool("token", "revoke", "short")
        refused = client.get("/api/v0/hosts")
        assert refused.status_code == 403
        assert refused.json()["detail"] == "The token is unknown, was revoked, or has expired."


def test_a_token_is_kept_nowhere_and_shown_to_nobody(place: Place) -> None:
    token = place.tool("token", "create", "quiet", "--role", "admin")
    client = place.opened(token)
    answers = [
        client.put("/api/v0/cluster/quiet"),
        client.get("/api/v0/host/10.0.0.99/creds"),
        client.put("/api/v0/cluster/quiet", content=b"["),
        client.get("/api/v0/hosts", headers={"Authorization": f"Bearer  {token}x"}),
        client.get("/api/v0/hosts", headers={"Authorization": f"Basic {token}"}),
        client.get("/api/v0/hosts", headers={"Authorization": token}),
        client.get("/nothing"),
        client.put("/api/v0/cluster/quiet", headers={"X-Request-ID": token}),
        client.get(f"/api/v0/host/{token}"),
        client.get(f"/api/v0/cluster/quiet?token={token}"),
        client.delete("/api/v0/cluster/quiet"),
    ]
    client.close()
    assert [answer.status_code for answer in answers] == [
        *(201, 404, 400, 403, 403, 403, 404),
        *(201, 404, 400, 200),
    ]
    secret = token.removeprefix("cmsr_")
    for answer in answers:
        assert secret not in repr(answer.headers)
        assert secret not in answer.text or "/host/" in answer.url.path  # who sent it may see it
    assert_nowhere([secret.encode()], place.service, "sqlite")


def test_a_users_file_that_is_edited_by_half_locks_nobody_out_and_lets_nobody_in(
    tmp_path: Path,
) -> None:
    with Service(tmp_path) as service:
        assert service.client.get("/hosts").status_code == 200
        file = service.data / "users.json"
        whole = file.read_text()
        for cut in (0, 1, len(whole) // 2, len(whole) - 3):
            file.write_text(whole[:cut])
            assert service.client.get("/hosts").status_code == 200, cut
            with service.client_as("viewer") as viewer:
                assert viewer.put("/cluster/x").status_code == 403
        told = wait_for(lambda: re.findall(r'"users_file.broken"', service.read_log()))
        assert len(told) >= 3
        users = json.loads(whole)
        del users["viewer"]
        file.write_text(json.dumps(users))
        with service.client_as("viewer") as viewer:
            assert viewer.get("/hosts").status_code == 403
        assert service.client.get("/hosts").status_code == 200


def test_every_limit_of_the_document_is_a_setting() -> None:
    section = DOCUMENT.partition("## Limits")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    limits = {
        name
        for name, field in Settings.model_fields.items()
        if re.search(r"(?i)\bclient|request|connection|log-ins|a change", field.description or "")
        and field.annotation in (int, float)
        and not name.startswith(("ssh_", "database_"))
    }
    assert named == limits
