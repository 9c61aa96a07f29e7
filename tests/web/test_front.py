"""The door: names of requests, roles, paths and verbs, problems, log lines."""

import json
import re
from typing import get_args

import httpx
import pytest
from starlette.responses import Response

from domain.refusal import Kind
from domain.roles import ROLES
from tests.web.service import WebService
from web.http.problems import KINDS, Problem
from web.http.requests import Request
from web.resources.health import healthz
from web.routing.description import tells
from web.routing.route import Route, refuse_twins

THEIR_OWN = ("/api/v0/user/{user}/password", "/api/v0/token/", "/api/v0/session/")
"""What everybody may change who may read."""
PROBLEM_KEYS = ["type", "title", "status", "detail"]


def routes(service: WebService) -> list[Route]:
    """The table that the service has."""
    return list(service.table)


def example(route: Route) -> str:
    """A path that the route takes; nothing is there."""
    return re.sub(r"{\w+}", "10.250.0.1", route.path)


# Who may do what


def test_each_route_is_for_its_role_and_those_above_and_for_nobody_without_credentials(
    front: WebService,
) -> None:
    for route in routes(front):
        url = front.url + example(route)
        stranger = httpx.request(route.verb, url)
        if route.audience == "anyone":
            # Who asks for a lock says so in a header, and comes from a network that is let in.
            assert stranger.status_code == (200 if route.verb == "GET" else 400)
            continue
        if route.audience == "login":
            assert stranger.status_code == 400  # who they are stands in the body
            continue
        assert stranger.status_code == 401, route
        assert stranger.headers["WWW-Authenticate"] == 'Basic realm="commissaire"'
        for role in ROLES:
            # Not read to its end: that of events as they happen has none.
            with httpx.stream(route.verb, url, auth=(role, role)) as answer:
                status = answer.status_code
            allowed = ROLES.index(role) >= ROLES.index(route.audience)
            assert (status != 403) == allowed, (route, role, status)


def test_a_viewer_only_reads_and_only_admins_see_credentials(front: WebService) -> None:
    for route in routes(front):
        if route.audience == "viewer" and not route.path.startswith(THEIR_OWN):
            assert route.verb == "GET"
        if route.path.endswith(("/creds", "/hostkey")):
            assert route.audience == "admin"


def test_a_route_that_does_not_say_what_it_does_does_not_start() -> None:
    async def silent(request: Request) -> Response:
        return await healthz(request)

    with pytest.raises(ValueError, match="/x is not described"):
        Route("GET", "/x", "anyone", silent, tells(str))
    with pytest.raises(ValueError, match="/x is not described"):
        Route("GET", "/x", "anyone", healthz, tells(str, "no_such_kind"))


@pytest.mark.parametrize("audience", ["", "root", None, "anyone"])
def test_a_route_without_a_role_does_not_start(audience: str) -> None:
    with pytest.raises(ValueError, match="/api/v0/x"):
        Route("GET", "/api/v0/x", audience, healthz, tells(str))  # type: ignore[arg-type] # wrong


def test_a_route_that_is_there_twice_does_not_start(front: WebService) -> None:
    table = routes(front)
    with pytest.raises(ValueError, match="twice"):
        refuse_twins([*table, table[-1]])


def test_nothing_under_api_says_anything_to_strangers(front: WebService) -> None:
    for path in ("/api", "/api/", "/api/v0", "/api/v0/none", "/api/v1/hosts", "/%61pi/v0/hosts"):
        for verb in ("GET", "PUT", "POST", "OPTIONS", "TRACE"):
            assert httpx.request(verb, front.url + path).status_code == 401, path


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic YWRtaW4=",
        "Basic /////w==",
        "Basic YWRtaW46YWRtaW46",
        "Bearer x",
        "Negotiate abc",
        "basic",
        "x" * 4000,
    ],
)
def test_malformed_and_wrong_credentials_are_403(front: WebService, header: str) -> None:
    answer = httpx.get(f"{front.url}/api/v0/hosts", headers={"Authorization": header})
    assert answer.status_code in {403, 429}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_basic_in_lower_case_is_understood(front: WebService) -> None:
    headers = {"authorization": "basic YWRtaW46YWRtaW4="}
    assert httpx.get(f"{front.url}/api/v0/hosts", headers=headers).status_code == 200


def test_too_many_failures_are_429_and_those_who_are_known_are_served(service: WebService) -> None:
    with service.client("viewer") as good, service.client("viewer") as bad:
        assert good.get("/clusters").status_code == 200
        answers = [bad.get("/clusters", auth=("viewer", f"wrong-{i}")) for i in range(12)]
        assert {answer.status_code for answer in answers} == {403, 429}
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert good.get("/clusters").status_code == 200


# Paths and verbs


def test_a_trailing_slash_is_answered_without_a_redirect(client: httpx.Client) -> None:
    for path in ("/hosts", "/clusters", "/cluster"):
        assert client.get(path).content == client.get(f"{path}/").content
    assert client.put("/cluster/slash/").status_code == 201
    assert client.get("/cluster/slash/hosts/").json() == []
    for twice in ("/hosts//", "//hosts", "/cluster//hosts"):
        assert client.get(twice).status_code == 404


def test_an_unknown_path_is_404_and_a_wrong_verb_is_405_with_allow(client: httpx.Client) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/hosts/nothing").status_code == 404
    assert httpx.get(str(client.base_url).replace("/api/v0", "/none")).status_code == 404
    for verb, path, allow in (
        ("POST", "/hosts", "GET, HEAD"),
        ("DELETE", "/clusters", "GET, HEAD"),
        ("PATCH", "/cluster/x", "DELETE, GET, HEAD, PUT"),
        ("OPTIONS", "/host/10.0.0.1/hostkey", "DELETE, GET, HEAD, PUT"),
    ):
        answer = client.request(verb, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allow)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_percent_encoded_name_is_decoded_once_and_its_slash_is_no_separator(
    client: httpx.Client,
) -> None:
    assert client.put("/cluster/enc%6Fded").json()["name"] == "encoded"
    assert client.put("/cluster/encoded%2Fhosts").status_code == 400
    assert client.get("/cluster/encoded%2Fhosts").status_code == 404
    assert client.get("/cluster/encoded%2fhosts%2f10.0.0.1").status_code == 404
    assert client.put("/cluster/enc%256Fded").status_code == 400
    assert client.get("/%63lusters").status_code == 200


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    client.put("/cluster/headed")
    get, head = client.get("/cluster/headed"), client.head("/cluster/headed")
    assert head.status_code == get.status_code
    assert head.content == b""
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.headers[name] == get.headers[name]
    missing = client.head("/cluster/none")
    assert (missing.status_code, missing.content) == (404, b"")


def test_healthz_takes_no_credentials(front: WebService) -> None:
    for path in ("/healthz", "/healthz/"):
        answer = httpx.get(front.url + path)
        assert (answer.status_code, answer.text) == (200, "ok\n")


# Request ids, problems, log lines


def test_a_sane_request_id_is_echoed_and_another_is_replaced(client: httpx.Client) -> None:
    for sane in ("a", "A.b_c-9", "x" * 64):
        answer = client.get("/hosts", headers={"X-Request-ID": sane})
        assert answer.headers["X-Request-ID"] == sane
    made = set()
    for odd in ("", "a b", "x" * 65, "ä".encode(), "a\tb", "<script>", "a,b"):
        headers = {b"X-Request-ID": odd if isinstance(odd, bytes) else odd.encode()}
        got = client.get("/none", headers=headers).headers["X-Request-ID"]
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", got)
        made.add(got)
    assert len(made) == 7


def test_a_problem_says_what_to_do(front: WebService, client: httpx.Client) -> None:
    for answer in (
        client.get("/none"),
        client.post("/hosts"),
        client.get("/host/10.250.0.9"),
        client.put("/cluster/x", content=b"["),
        httpx.get(f"{front.url}/api/v0/hosts"),
    ):
        problem = json.loads(answer.content)
        assert list(problem)[:4] == PROBLEM_KEYS
        assert problem["status"] == answer.status_code
        assert problem["type"].startswith("urn:commissaire:problem:")
        assert problem["detail"]
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Request-ID"]


def test_every_kind_of_refusal_has_a_status() -> None:
    statuses = {kind: KINDS[kind].status for kind in get_args(Kind)}
    assert statuses == {
        "invalid": 400,
        "not_found": 404,
        "conflict": 409,
        "stale": 412,
        "unavailable": 503,
        "storage_full": 507,
    }
    assert dict(Problem("unavailable", "").reply().raw_headers)[b"retry-after"] == b"2"


def test_every_request_is_one_log_line_without_secrets(
    front: WebService, client: httpx.Client, key: str
) -> None:
    name = {"X-Request-ID": "line-1"}
    client.put("/host/10.8.8.8?secret=1", json={"ssh_priv_key": key}, headers=name)
    line = next(line for line in front.log if line.get("request_id") == "line-1")
    assert line | {"ms": 0} == {
        "event": "request",
        "level": "info",
        "method": "PUT",
        "path": "/api/v0/host/10.8.8.8",
        "status": 400,
        "ms": 0,
        "user": "admin",
        "request_id": "line-1",
        "client": "127.0.0.1",
    }
    httpx.get(f"{front.url}/api/v0/hosts", headers={"X-Request-ID": "line-2"})
    stranger = next(line for line in front.log if line.get("request_id") == "line-2")
    assert (stranger["user"], stranger["status"]) == ("", 401)
    assert key[40:80] not in repr(front.log)


def test_a_defect_is_500_without_details_and_its_place_is_in_the_log(service: WebService) -> None:
    def broken(raw: bytes) -> str:
        raise RuntimeError(f"hidden-word {raw!r}")

    service.parse_key = broken
    with service.client() as client:
        body = {"ssh_priv_key": "aGlkZGVuLXdvcmQ="}
        answer = client.put("/host/10.0.0.1", json=body, headers={"X-Request-ID": "boom"})
        assert answer.status_code == 500
        assert "boom" in answer.json()["detail"]
        assert "hidden-word" not in answer.text
        assert client.get("/clusters").status_code == 200
    line = next(line for line in service.log if line["event"] == "request.failed")
    assert line["request_id"] == "boom"
    assert line["error"] == "RuntimeError"
    assert "test_front.py:" in str(line["where"])
    assert "hidden-word" not in repr(service.log)
