"""Sessions of browsers: the cookie, what a change needs beside it, and how a session ends."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import bcrypt
import httpx
import pytest

from domain.aggregates.accounts.session import Session
from domain.log.unit import Unit
from projections.beside_the_log import account_hashes
from tests.support.warm_start import CHEAP_BCRYPT
from tests.web.service import TIMEOUT_S, WebService
from web.authentication import sessions
from web.http.requests import NOBODY

WORD = "a made-up word"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Browser:
    """What a browser does with the cookie, and the console with the token beside it."""

    def __init__(self, service: WebService, user: str = "ada", password: str = WORD) -> None:
        self.client = httpx.Client(base_url=f"{service.url}/api/v0", timeout=TIMEOUT_S)
        self.origin = {"Origin": service.url}
        body = {"user": user, "password": password}
        self.answer = self.client.post("/sessions", json=body, headers=self.origin)
        self.session = self.answer.json()
        token = self.session.get("csrf_token", "")
        self.headers = self.origin | {"X-CSRF-Token": token}


Open = Callable[..., Browser]


@pytest.fixture
def another(service: WebService) -> Iterator[Open]:
    """Opens further browsers, and closes them at the end."""
    with ExitStack() as opened:

        def opening(*who: str) -> Browser:
            found = Browser(service, *who)
            opened.callback(found.client.close)
            return found

        yield opening


@pytest.fixture
def browser(api: httpx.Client, another: Open) -> Browser:
    """A browser in which ada has logged in."""
    body = {"role": "operator", "password": WORD}
    assert api.put("/user/ada", json=body).status_code == 201
    return another()


def test_a_log_in_opens_a_session_that_is_the_user_from_then_on(
    service: WebService, browser: Browser
) -> None:
    assert browser.answer.status_code == 201
    (cookie,) = browser.answer.headers.get_list("Set-Cookie")
    assert re.fullmatch(
        r"commissaire=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict", cookie
    )
    assert ID.fullmatch(browser.session["id"])
    me = browser.client.get("/me").json()
    assert (me["name"], me["role"]) == ("ada", "operator")
    assert (me["session"], me["csrf_token"]) == (
        browser.session["id"],
        browser.session["csrf_token"],
    )
    assert browser.client.put("/cluster/web", headers=browser.headers).status_code == 201
    made = service.events[-1].event
    assert (made.TOPIC, made.actor) == ("cluster.created", "ada")
    started = next(e.event for e in service.events if e.event.TOPIC == "session.started")
    assert started.actor == "ada"


def test_over_tls_the_cookie_is_for_this_host_and_for_tls_alone(
    service: WebService, browser: Browser
) -> None:
    secure = {"X-Forwarded-Proto": "https", "Origin": service.url.replace("http:", "https:")}
    body = {"user": "ada", "password": WORD}
    with httpx.Client(base_url=f"{service.url}/api/v0", timeout=TIMEOUT_S) as client:
        answer = client.post("/sessions", json=body, headers=secure)
        (cookie,) = answer.headers.get_list("Set-Cookie")
        assert cookie.startswith("__Host-commissaire=")
        assert cookie.endswith("; HttpOnly; SameSite=Strict; Secure")
        secret = cookie.partition("=")[2].partition(";")[0]
        right = {"Cookie": f"__Host-commissaire={secret}"} | secure
        assert client.get("/me", headers=right).status_code == 200
        for wrong in (
            {"Cookie": f"commissaire={secret}"} | secure,  # which another host may have set
            {"Cookie": f"__Host-commissaire={secret}"},
        ):
            assert client.get("/me", headers=wrong).status_code == 401
        token = {"X-CSRF-Token": answer.json()["csrf_token"]}
        plain = right | token | {"Origin": service.url}
        assert client.put("/cluster/web", headers=plain).status_code == 403
        assert client.put("/cluster/web", headers=right | token).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "ours"},
        {"X-CSRF-Token": "right"},
        {"Origin": "https://elsewhere.example", "X-CSRF-Token": "right"},
        {"Origin": "null", "X-CSRF-Token": "right"},
        {"Origin": "ours", "X-CSRF-Token": "0" * 48},
        {"Origin": "ours", "X-CSRF-Token": ""},
    ],
)
def test_a_change_that_another_page_may_have_sent_is_refused(
    service: WebService, browser: Browser, headers: dict[str, str]
) -> None:
    words = {"ours": service.url, "right": browser.session["csrf_token"]}
    sent = {name: words.get(value, value) for name, value in headers.items()}
    for verb, path in (("PUT", "/cluster/web"), ("POST", "/fleet/check"), ("DELETE", "/cluster/x")):
        assert browser.client.request(verb, path, headers=sent).status_code == 403
    assert browser.client.get("/clusters", headers=sent).json() == []


def test_nobody_is_logged_in_by_another_page_or_with_a_wrong_password(
    service: WebService, browser: Browser
) -> None:
    body = {"user": "ada", "password": WORD}
    with httpx.Client(base_url=f"{service.url}/api/v0", timeout=TIMEOUT_S) as client:
        elsewhere = client.post("/sessions", json=body, headers={"Origin": "https://x.example"})
        assert elsewhere.status_code == 403
        for wrong in (body | {"password": "wrong"}, body | {"user": "nobody"}):
            answer = client.post("/sessions", json=wrong)
            assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
        for broken in ({}, {"user": "ada"}, body | {"remember": True}):
            assert client.post("/sessions", json=broken).status_code == 400
        assert client.get("/me").status_code == 401
        statuses = [
            client.post("/sessions", json=body | {"password": f"wrong-{n}"}).status_code
            for n in range(8)
        ]
        assert 429 in statuses
        assert client.post("/sessions", json=body).status_code == 201  # known a moment ago


def test_a_log_out_ends_the_session_everywhere(service: WebService, browser: Browser) -> None:
    path = f"/session/{browser.session['id']}"
    assert browser.client.get(path).json()["current"] is True
    secret = browser.client.cookies["commissaire"]
    answer = browser.client.delete(path, headers=browser.headers)
    assert answer.status_code == 200
    assert answer.headers["Set-Cookie"].startswith("commissaire=; Path=/; Max-Age=0")
    later = httpx.get(f"{service.url}/api/v0/me", headers={"Cookie": f"commissaire={secret}"})
    assert later.status_code == 403
    assert later.json()["type"] == "urn:commissaire:problem:session-ended"
    ended = service.events[-1].event
    assert (ended.TOPIC, ended.actor) == ("session.ended", "ada")


def test_one_sees_and_ends_ones_own_sessions_and_administrators_all(
    api: httpx.Client, browser: Browser, another: Open
) -> None:
    api.put("/user/bob", json={"role": "viewer", "password": WORD})
    other = another("bob")
    assert [s["user"] for s in other.client.get("/sessions").json()] == ["bob"]
    path = f"/session/{browser.session['id']}"
    assert other.client.get(path).status_code == 404
    assert other.client.delete(path, headers=other.headers).status_code == 404
    assert [s["user"] for s in api.get("/sessions").json()] == ["ada", "bob"]
    assert api.delete(path).status_code == 200
    assert browser.client.get("/me").status_code == 403


def test_another_password_ends_other_sessions_and_a_role_counts_at_once(
    api: httpx.Client, browser: Browser, another: Open
) -> None:
    other = another()
    api.put("/user/ada", json={"role": "viewer"})
    assert other.client.get("/me").json()["role"] == "viewer"
    body = {"old": WORD, "new": "another"}
    changed = browser.client.put("/user/ada/password", json=body, headers=browser.headers)
    assert changed.status_code == 200
    assert browser.client.get("/me").status_code == 200
    assert other.client.get("/me").status_code == 403
    api.delete("/user/ada")
    assert browser.client.get("/me").status_code == 403


def test_a_user_of_a_named_file_has_sessions_until_the_password_there_changes(
    service: WebService, another: Open
) -> None:
    other = another("operator", "operator")
    assert other.client.get("/me").json()["name"] == "operator"
    account = service.users.users["operator"]
    service.users.users["operator"] = account._replace(role="viewer")
    assert other.client.get("/me").json()["role"] == "viewer"
    other_hash = bcrypt.hashpw(b"another", bcrypt.gensalt(CHEAP_BCRYPT))
    service.users.users["operator"] = account._replace(hash=other_hash)
    assert other.client.get("/me").status_code == 403


def test_a_session_ends_when_its_time_has_come_or_nobody_uses_it(
    service: WebService, browser: Browser, another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = browser.session["id"]
    with service.engine.snapshot() as tx:
        assert account_hashes.last_use(tx, f"{Session.KIND}/{id_}")
    monkeypatch.setattr(sessions, "IDLE_S", 0)
    assert browser.client.get("/me").status_code == 403
    monkeypatch.setattr(sessions, "IDLE_S", 3600)
    assert browser.client.get("/me").status_code == 200

    def end(unit: Unit) -> None:
        sql = "UPDATE sessions SET ends = '2020-01-01T00:00:00.000000' WHERE id = ?"
        unit.write_beside(lambda tx: [tx.execute(sql, (id_,))].clear())
        unit.user("nobody").add(unit.user("ada").standing, has_password=False)  # a change of all

    service.perform(end)
    assert browser.client.get("/me").status_code == 403
    again = another()
    assert again.client.get("/me").status_code == 200
    topics = service.topics()
    assert topics[-2:] == ["session.ended", "session.started"]


class Noted:
    """Uses of a session, as they were noted; it was used at the second 0."""

    def __init__(self) -> None:
        self.uses = [0.0]

    def known(self, session: str) -> float:
        return self.uses[-1]

    async def last(self, session: str) -> float:
        return self.uses[-1]

    def note(self, session: str, at: float) -> None:
        self.uses.append(at)

    def find_session(self, digest: bytes) -> sessions.OpenSession | None:
        return sessions.OpenSession("1", NOBODY, 40_000.0)


async def test_what_an_open_page_asks_by_itself_keeps_no_session_from_being_idle() -> None:
    noted, clock = Noted(), [0.0]
    session = sessions.SessionAuthentication(noted, noted, lambda: clock[0])
    cookie = (b"cookie", b"commissaire=x")
    page = {"headers": [cookie, (b"accept", b"text/html,*/*")], "scheme": "http"}
    by_itself = [
        {"headers": [cookie, header], "scheme": "http"}
        for header in ((b"accept", b"text/event-stream"), (b"commissaire-by-itself", b"1"))
    ]
    for clock[0] in (1_000.0, 2_000.0, 3_599.0):
        for scope in by_itself:
            assert session.remembered(scope) is not None
            assert await session.identify(scope) is not None
    assert noted.uses == [0.0]
    assert session.remembered(page) is not None
    assert noted.uses == [0.0, 3_599.0]
    clock[0] = 7_199.0
    for scope in by_itself:
        with pytest.raises(sessions.SessionEnded):
            await session.identify(scope)


def test_credentials_in_a_header_win_over_the_cookie(service: WebService, browser: Browser) -> None:
    headers = {"Authorization": "Basic YWRtaW46d3Jvbmc="}
    assert browser.client.get("/me", headers=headers).status_code == 403
    me = browser.client.get("/me", auth=("viewer", "viewer")).json()
    assert (me["name"], me["session"], me["csrf_token"]) == ("viewer", None, None)
    # Not forged: no browser sends this by itself.
    answer = browser.client.put("/cluster/web", auth=("operator", "operator"))
    assert answer.status_code == 201


def test_a_cookie_that_is_none_of_ours_is_nothing(service: WebService, browser: Browser) -> None:
    url = f"{service.url}/api/v0/me"
    for cookie in ("commissaire=", "commissaire", "x=commissaire=1", "commissaire2=1", ";;=;"):
        assert httpx.get(url, headers={"Cookie": cookie}).status_code == 401
    for other in (b"commissaire=x", b"a=b; commissaire=\xff", b"commissaire=x; commissaire=y"):
        assert httpx.get(url, headers={b"Cookie": other}).status_code == 403
