"""The table of roles: as it is documented, and what it lets nobody do."""

import re
from pathlib import Path

import httpx
import pytest

from tests.web.service import WebService, raw_answers
from web.routing.where import TOLD

DOCUMENT = Path(__file__).parents[3] / "docs" / "access.md"


def test_the_table_in_the_document_is_the_one_that_serves(front: WebService) -> None:
    rows = [
        f"| {route.verb} | `{route.path}` | {route.audience} | {TOLD[route.acts_on]} |"
        for route in front.table
    ]
    text = DOCUMENT.read_text()
    table = text.partition("| Verb | Path | Role | In |\n|---|---|---|---|\n")[2].partition("\n\n")[
        0
    ]
    assert table.splitlines() == rows, "docs/access.md should have:\n" + "\n".join(rows)


def test_nobody_is_who_a_header_says(front: WebService) -> None:
    claims = {
        "X-Remote-User": "admin",
        "Remote-User": "admin",
        "X-Forwarded-User": "admin",
        "X-Auth-Request-User": "admin",
        "X-Client-Cert": "admin",
        "X-SSL-Client-S-DN": "CN=admin",
        "X-SSL-Client-Verify": "SUCCESS",
        "Ssl-Client-Cert": "admin",
        "X-Forwarded-Client-Cert": 'Subject="CN=admin"',
        "client_certificate": "admin",
        "Proxy-Authorization": "Basic YWRtaW46YWRtaW4=",
        "X-Authorization": "Basic YWRtaW46YWRtaW4=",
        "Authorization_": "Basic YWRtaW46YWRtaW4=",
        "Cookie": "user=admin; Authorization=Basic YWRtaW46YWRtaW4=",
        "X-Original-URL": "/healthz",
        "X-HTTP-Method-Override": "GET",
    }
    for name, value in claims.items():
        url = f"{front.url}/api/v0/hosts"
        assert httpx.get(url, headers={name: value}).status_code == 401, name
        viewer = httpx.put(
            f"{front.url}/api/v0/cluster/x", headers={name: value}, auth=("viewer", "viewer")
        )
        assert viewer.status_code == 403, name
    query = httpx.get(f"{front.url}/api/v0/hosts?access_token=admin&user=admin")
    assert query.status_code == 401
    assert httpx.get(front.url.replace("//", "//admin:admin@") + "/api/v0/hosts").status_code == 200


def test_no_answer_can_run_or_be_framed_or_guessed_at_and_no_other_origin_is_let_in(
    front: WebService, client: httpx.Client
) -> None:
    client.put("/cluster/browsed")
    origin = {"Origin": "https://elsewhere.example"}
    preflight = origin | {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }
    tag = client.get("/cluster/browsed").headers["ETag"]
    answers = [
        client.get("/cluster/browsed", headers=origin),
        client.get("/cluster/browsed", headers={"If-None-Match": tag}),
        client.get("/clusters", headers=origin),
        client.put("/cluster/browsed", headers=origin),
        client.delete("/cluster/browsed", headers=origin),
        client.get("/nothing", headers=origin),
        client.options("/clusters", headers=preflight),
        client.put("/cluster/browsed", content=b"[", headers=origin),
        httpx.options(f"{front.url}/api/v0/clusters", headers=preflight),
        httpx.get(f"{front.url}/healthz", headers=origin),
        httpx.get(f"{front.url}/api/v0/hosts", auth=("admin", "wrong"), headers=origin),
    ]
    statuses = [200, 304, 200, 201, 200, 404, 405, 400, 401, 200, 403]
    assert [answer.status_code for answer in answers] == statuses
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["Cache-Control"] in {"no-store", "private, no-cache"}
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "Server" not in answer.headers


def put(*headers: bytes) -> bytes:
    """A request that only an operator may make."""
    return b"PUT /api/v0/cluster/smuggled HTTP/1.1\r\nHost: x\r\n" + b"".join(headers)


VIEWER = b"Authorization: Basic dmlld2VyOnZpZXdlcg==\r\n"
ADMIN = b"Authorization: Basic YWRtaW46YWRtaW4=\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NO_BODY = b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        (put(VIEWER, ADMIN, NO_BODY), [403]),
        (put(VIEWER, ADMIN.replace(b"Auth", b"aUTH"), NO_BODY), [403]),
        (put(VIEWER, CHUNKED, b"\r\n0\r\n", ADMIN, b"\r\n"), [403]),
        (put(VIEWER, CHUNKED, b"Content-Length: 5\r\n\r\n0\r\n\r\n", put(ADMIN, NO_BODY)), [400]),
        (put(VIEWER, b"Content-Length: 5\r\n", NO_BODY, put(ADMIN, NO_BODY)), [400]),
        (put(b"Authorization: Basic\r\n YWRtaW46YWRtaW4=\r\n", NO_BODY), [400]),
        (put(b"Authorization : Basic YWRtaW46YWRtaW4=\r\n", NO_BODY), [400]),
        (put(b"X-Request-ID: a\rAuthorization: Basic YWRtaW46YWRtaW4=\r\n", NO_BODY), [400]),
        (b"GET /api/v0/hosts HTTP/1.1\r\nHost: x\r\n" + ADMIN + b"\r\n" + put(NO_BODY), [200, 401]),
    ],
)
def test_nobodys_credentials_count_for_another_request(
    front: WebService, client: httpx.Client, request_bytes: bytes, statuses: list[int]
) -> None:
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with front.connect() as connection:
        connection.sendall(request_bytes + last)
        answers = raw_answers(connection)
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
    assert found == statuses + ([] if statuses == [400] else [200])
    assert client.get("/cluster/smuggled").status_code == 404
