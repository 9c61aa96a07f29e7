"""The table of roles: as it is documented, and what it lets nobody do."""

from pathlib import Path

import httpx

from tests.web.service import WebService

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "access.md"


def test_the_table_in_the_document_is_the_one_that_serves(front: WebService) -> None:
    rows = [
        f"| {route.verb} | `{route.path}` | {route.audience} |" for route in front.app.routes.table
    ]
    text = DOCUMENT.read_text()
    table = text.partition("| Verb | Path | Role |\n|---|---|---|\n")[2].partition("\n\n")[0]
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
