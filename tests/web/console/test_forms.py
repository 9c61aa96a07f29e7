"""Forms without script: who may, from where, and what became of it."""

import re

import httpx
import pytest

from domain.commands import investigation
from domain.log.unit import Unit
from projections.beside_the_log.webhook_deliveries import Attempt
from tests.web.console import fleet
from tests.web.console.browser import Browser, Page
from tests.web.service import WebService

HOST = fleet.address(2)
AT = "2026-01-02T03:04:05.000006"


def test_strangers_are_asked_to_log_in_and_go_on_where_they_wanted(seeded: WebService) -> None:
    with httpx.Client(base_url=seeded.url) as client:
        sent_on = client.get("/hosts?status=failed")
        assert sent_on.status_code == 303
        assert sent_on.headers["location"] == "/login?next=%2Fhosts%3Fstatus%3Dfailed"
        form = {"user": "viewer", "password": "viewer", "next": "/hosts?status=failed"}
        opened = client.post("/login", data=form, headers={"origin": seeded.url})
        assert opened.headers["location"] == "/hosts?status=failed"
        assert client.get("/hosts").status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", ""]
)
def test_a_log_in_leads_to_no_other_service(seeded: WebService, target: str) -> None:
    form = {"user": "viewer", "password": "viewer", "next": target}
    opened = httpx.post(f"{seeded.url}/login", data=form, headers={"origin": seeded.url})
    assert opened.headers["location"] == "/"


def test_a_wrong_password_is_said_where_it_is_asked_for(seeded: WebService) -> None:
    form = {"user": "viewer", "password": "wrong", "next": "/hosts"}
    refused = httpx.post(f"{seeded.url}/login", data=form, headers={"origin": seeded.url})
    assert refused.status_code == 403
    assert "The user name or the password is wrong." in refused.text
    assert 'value="/hosts"' in refused.text


def test_a_session_ends_with_log_out(admin: Browser) -> None:
    assert admin.send("/me", "/logout").headers["location"] == "/login"
    assert admin.client.get("/").status_code == 303


def test_an_ended_session_is_asked_for_again(admin: Browser, seeded: WebService) -> None:
    with seeded.client() as api:
        for session in api.get("/sessions").json():
            api.delete(f"/session/{session['id']}")
    answer = admin.client.get("/hosts")
    assert answer.headers["location"] == "/login?next=%2Fhosts&ended=1"


def test_forms_from_elsewhere_are_refused(admin: Browser, seeded: WebService) -> None:
    fields = admin.see(f"/host/{HOST}").fields(f"/host/{HOST}/check")
    before = len(seeded.events)
    for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
        answer = admin.client.post(f"/host/{HOST}/check", data=fields, headers=origin)
        assert answer.status_code == 403
    answer = admin.post(f"/host/{HOST}/check", {"csrf_token": "0" * 48})
    assert answer.status_code == 403
    # A browser that was told a password once sends it by itself, too.
    for origin in ({}, {"origin": "http://evil.example"}):
        answer = httpx.post(
            f"{seeded.url}/host/{HOST}/check", auth=("admin", "admin"), data=fields, headers=origin
        )
        assert answer.status_code == 403
    assert len(seeded.events) == before


def test_a_host_is_looked_at_and_labelled_from_its_page(admin: Browser, seeded: WebService) -> None:
    page, before = f"/host/{HOST}", len(seeded.events)
    assert admin.send(page, f"{page}/check").headers["location"] == page
    assert "host.check_requested" in seeded.topics()[before:]
    note = {"label": "tier=gold"}
    assert admin.send(page, f"{page}/label", note).status_code == 303
    assert "tier=gold" in admin.see(page).text
    assert admin.send(page, f"{page}/label", {"label": "tier-"}).status_code == 303
    with seeded.client() as api:
        assert "tier" not in api.get(f"/host/{HOST}/labels").json()
    assert admin.send(page, f"{page}/label", {"label": "nonsense"}).status_code == 400


def test_marked_hosts_are_looked_at_and_labelled(admin: Browser, seeded: WebService) -> None:
    marked = [fleet.address(4), fleet.address(5)]
    list_ = "/hosts?cluster=web"
    sent = admin.send(list_, "/hosts/check", {"address": marked})
    assert sent.headers["location"] == list_
    fields = admin.see(list_).fields("/hosts/check") | {"label": "wave=1"}
    sent = admin.post("/hosts/label", {**fields, "address": marked})
    assert sent.status_code == 303
    assert "Hosts 2" in admin.see("/hosts?label=wave%3D1").text
    assert admin.send(list_, "/hosts/check", {"label": ""}).status_code == 400
    sent = admin.send("/hosts?label=wave%3D1", "/hosts/check", {"all": "1"})
    assert sent.status_code == 303


def test_who_may_not_is_told_which_role_it_takes(viewer: Browser) -> None:
    assert "takes the role operator" in viewer.see(f"/host/{HOST}").text
    assert "takes the role admin" in viewer.see(f"/host/{HOST}").text
    token = viewer.see("/me").fields("/logout")["csrf_token"]
    for action in (f"/host/{HOST}/check", f"/host/{HOST}/label", "/hosts/check"):
        fields = {"csrf_token": token, "label": "a=b", "address": HOST}
        answer = viewer.post(action, fields)
        assert answer.status_code == 403
        assert "This takes the role" in answer.text


def test_a_token_is_shown_once_and_is_worthless_when_revoked(
    admin: Browser, seeded: WebService
) -> None:
    made = admin.send("/tokens", "/tokens/make", {"name": "ci", "role": "viewer", "expires": "12h"})
    assert made.status_code == 200
    (token,) = re.findall(r"cmsr_[\w-]+", made.text)
    bearer = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{seeded.url}/api/v0/me", headers=bearer).json()["role"] == "viewer"
    assert token not in admin.client.get("/tokens").text
    assert admin.send("/tokens", "/tokens/ci/revoke").status_code == 303
    assert httpx.get(f"{seeded.url}/api/v0/me", headers=bearer).status_code == 403


def test_users_are_added_and_removed_by_administrators(
    admin: Browser, viewer: Browser, seeded: WebService
) -> None:
    new = {"name": "eve", "role": "viewer", "password": "made up here"}
    assert admin.send("/users", "/users/put", new).headers["location"] == "/users"
    assert "eve" in admin.see("/users").text
    with httpx.Client(base_url=seeded.url) as client:
        form = {"user": "eve", "password": "made up here", "next": "/me"}
        opened = client.post("/login", data=form, headers={"origin": seeded.url})
        assert opened.headers["location"] == "/me"
        changed = client.post(
            "/me/password",
            data=Page(client.get("/me").text).fields("/me/password")
            | {"old": "made up here", "new": "made up anew"},
            headers={"origin": seeded.url},
        )
        assert changed.status_code == 303
    assert admin.send("/users", "/users/remove", {"name": "eve"}).status_code == 303
    assert "eve" not in admin.see("/users").text
    refused = viewer.client.get("/users")
    assert refused.status_code == 403
    assert "takes the role" in refused.text


def test_a_webhook_is_made_tried_rotated_resumed_and_removed(
    admin: Browser, viewer: Browser, seeded: WebService
) -> None:
    async def tried(name: str) -> Attempt:
        return Attempt(AT, 0, "webhook.test", f"webhook/{name}", 204, 7, "")

    seeded.try_webhook = tried
    new = {"name": "chat", "url": "https://chat.example/x7", "types": "host.failed operation.*"}
    made = admin.send("/webhooks", "/webhooks/put", {**new, "summaries": "yes", "form": "text"})
    assert made.status_code == 200
    secrets = re.findall(r"whsec_[\w+/]+=", made.text)
    assert len(secrets) == 1
    again = admin.send("/webhooks", "/webhooks/put", {**new, "types": ""})
    assert again.status_code == 409
    assert "There is a webhook chat already" in again.text
    page = admin.see("/webhooks")
    assert "https://chat.example/********" in page.text
    assert "text, summaries" in page.text
    assert secrets[0] not in admin.client.get("/webhooks").text
    one = "/webhooks/chat"
    assert "The receiver answered 204 after 7 ms." in admin.send(one, f"{one}/test").text
    rotated = re.findall(r"whsec_[\w+/]+=", admin.send(one, f"{one}/rotate").text)
    assert len(rotated) == 1
    assert rotated != secrets
    seeded.perform(lambda unit: unit.webhook("chat").give_up(1, AT, "It answered 500."))
    assert "webhook given up: chat" in admin.see("/").text
    assert "given up" in admin.see(one).text
    assert admin.send(one, f"{one}/resume").headers["location"] == one
    assert seeded.topics()[-1] == "webhook.resumed"
    assert admin.send(one, f"{one}/remove", {"name": "other"}).headers["location"] == one
    assert admin.send(one, f"{one}/remove", {"name": "chat"}).headers["location"] == "/webhooks"
    assert "chat.example" not in admin.see("/webhooks").text
    for path in ("/webhooks", one):
        refused = viewer.client.get(path)
        assert refused.status_code == 403
        assert "takes the role" in refused.text


def test_marked_hosts_of_one_cluster_are_planned_for(admin: Browser) -> None:
    fields = admin.see("/hosts?cluster=db").fields("/hosts/check")
    marked = [fleet.address(2), fleet.address(5)]
    sent = admin.post("/hosts/plan", {**fields, "address": marked})
    assert sent.status_code == 303
    page = admin.see(sent.headers["location"])
    assert page.fields("/operations/plan")["hosts"] == " ".join(marked)
    fields = admin.see("/hosts").fields("/hosts/check")
    for wrong in ([fleet.address(1), fleet.address(2)], [], ["10.9.9.9"]):
        assert admin.post("/hosts/plan", {**fields, "address": wrong}).status_code == 400


def test_a_changed_host_key_is_shown_and_approved_by_its_fingerprint(
    admin: Browser, viewer: Browser, seeded: WebService
) -> None:
    host, told = fleet.address(23), "<b>Another key.</b>"
    known, other = "SHA256:" + "a" * 43, "SHA256:" + "b" * 43

    def shown(unit: Unit) -> None:
        subject = fleet.subject(unit, host)
        investigation.pin_key(unit, subject, "ssh-ed25519", known)
        investigation.refuse_key(unit, subject, other, told)

    seeded.perform(shown)
    page = admin.see(f"/host/{host}")
    assert f"Shown and refused {other}" in page.text
    assert "Another key." in page.text
    assert "<b>Another" not in admin.client.get(f"/host/{host}").text
    assert other not in viewer.see(f"/host/{host}").text.partition("History ")[0]
    now = admin.see("/")
    assert "host key changed 1" in now.text
    assert f"commctl host hostkey show {host}" in now.text
    path = f"/host/{host}/hostkey"
    wrong = admin.send(f"/host/{host}", path, {"fingerprint": "SHA256:no fingerprint"})
    assert wrong.status_code == 400
    assert f"Trusted {known}" in admin.see(f"/host/{host}").text
    sent = admin.send(f"/host/{host}", path, {"fingerprint": other, "note": "reinstalled"})
    assert sent.headers["location"] == f"/host/{host}"
    assert f"Trusted {other}" in admin.see(f"/host/{host}").text
    seeded.settle(host)
