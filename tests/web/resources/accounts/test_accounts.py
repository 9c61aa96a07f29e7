"""Users and tokens over HTTP, on both engines."""

import json
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import httpx
import pytest

from runners.security.tokens import TokensFile
from tests.web.service import TIMEOUT_S, WebService
from web.authentication import passwords
from web.authentication.authentication import BCRYPT_COST

WORD = "a made-up word"


def client_of(service: WebService, user: str, password: str = WORD) -> httpx.Client:
    return httpx.Client(base_url=f"{service.url}/api/v0", auth=(user, password), timeout=TIMEOUT_S)


def bearer(service: WebService, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{service.url}/api/v0", headers=headers, timeout=TIMEOUT_S)


@pytest.fixture
def ada(service: WebService, api: httpx.Client) -> Iterator[httpx.Client]:
    """A viewer who is an operator in one cluster."""
    body = {"role": "viewer", "clusters": {"web": "operator"}, "password": WORD}
    assert api.put("/user/ada", json=body).status_code == 201
    with client_of(service, "ada") as client:
        yield client


def test_everybody_sees_who_they_are_and_what_they_may_do(
    service: WebService, ada: httpx.Client
) -> None:
    answer = ada.get("/me")
    assert answer.json() == {
        "name": "ada",
        "role": "viewer",
        "clusters": {"web": "operator"},
        "session": None,
        "csrf_token": None,
    }
    assert answer.headers["cache-control"] == "no-store"


def test_a_user_is_added_changed_and_removed_each_by_an_event(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    shown = api.get("/user/ada")
    assert shown.json() | {"added": ""} == {
        "name": "ada",
        "role": "viewer",
        "clusters": {"web": "operator"},
        "has_password": True,
        "added": "",
        "kept_in": "database",
    }
    assert api.put("/user/ada", json={"role": "operator"}).json()["clusters"] == {}
    assert ada.put("/cluster/web").status_code == 201
    assert api.put("/user/ada", json={"role": "viewer", "clusters": {}}).status_code == 201
    assert ada.put("/cluster/db").status_code == 403
    assert api.put("/user/ada", json={"password": "another"}).status_code == 201
    assert ada.get("/clusters").status_code == 403
    with client_of(service, "ada", "another") as client:
        assert client.get("/clusters").status_code == 200
        assert api.delete("/user/ada").json() == []
        assert client.get("/clusters").status_code == 403
    assert api.get("/user/ada").status_code == 404
    assert api.delete("/user/ada").status_code == 404
    told = [event for event in service.events if event.event.originator_id == "user/ada"]
    assert [each.event.TOPIC for each in told] == [
        "user.added",
        "user.role_changed",
        "user.role_changed",
        "user.password_changed",
        "user.removed",
    ]
    assert {each.event.actor for each in told} == {"admin"}


def test_the_same_request_again_is_answered_the_same_and_is_no_news(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    body = {"role": "viewer", "clusters": {"web": "operator"}, "password": WORD}
    before = len(service.events)
    again = api.put("/user/ada", json=body)
    assert (again.status_code, again.json()) == (201, api.get("/user/ada").json())
    assert len(service.events) == before


def test_no_answer_event_or_table_of_the_log_has_a_hash(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    made = ada.put("/token/hers", json={"role": "viewer", "expires": "1h"}).json()
    told = [api.get(path).text for path in ("/users", "/user/ada", "/tokens", "/token/hers")]
    told += [api.get("/events").text, api.get("/host/x/history").text]
    for text in told:
        assert "$2b$" not in text
        assert made["token"] not in text
        assert WORD not in text


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "role"),
        ({"role": "root"}, "role"),
        ({"role": "viewer", "clusters": {"w b": "viewer"}}, "clusters"),
        ({"role": "viewer", "clusters": {"web": "root"}}, "clusters"),
        ({"role": "viewer", "password": ""}, "password"),
        ({"role": "viewer", "password": "é" * 37}, "password"),
        ({"role": "viewer", "password": "a\nb"}, "password"),
        ({"role": "viewer", "pasword": "x"}, "pasword"),
    ],
)
def test_a_body_that_is_wrong_changes_nothing_and_names_the_key(
    client: httpx.Client, body: dict[str, object], key: str
) -> None:
    answer = client.put("/user/eve", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (400, key)
    assert client.get("/user/eve").status_code == 404


@pytest.mark.parametrize("name", ["a:b", "a b", ".a", "-a", "a" * 65, "%C3%A9", "a%0A"])
def test_names_that_nobody_could_use_are_refused(client: httpx.Client, name: str) -> None:
    assert client.put(f"/user/{name}", json={"role": "viewer"}).status_code == 400
    body = {"role": "viewer", "expires": "1h"}
    assert client.put(f"/token/{name}", json=body).status_code == 400
    assert client.get(f"/user/{name}").status_code == 404


def test_everybody_changes_their_own_password_with_the_old_one(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    wrong = ada.put("/user/ada/password", json={"old": "wrong", "new": "another"})
    assert (wrong.status_code, wrong.json()["detail"]) == (403, "The old password is wrong.")
    for client in (api, ada):
        others = client.put("/user/bob/password", json={"old": "x", "new": "y"})
        assert others.status_code == 403
    assert ada.put("/user/ada/password", json={"old": WORD, "new": "y" * 73}).status_code == 400
    body = {"old": WORD, "new": "another"}
    assert ada.put("/user/ada/password", json=body).json()["name"] == "ada"
    assert ada.get("/me").status_code == 403
    with client_of(service, "ada", "another") as client:
        assert client.get("/me").status_code == 200
    assert service.events[-1].event.actor == "ada"


def test_users_of_a_named_file_are_shown_as_of_the_file_and_changed_there_only(
    api: httpx.Client,
) -> None:
    users = {user["name"]: user for user in api.get("/users").json()}
    assert set(users) == {"admin", "operator", "viewer"}
    assert users["viewer"] | {"role": ""} == {
        "name": "viewer",
        "role": "",
        "clusters": {},
        "has_password": True,
        "added": None,
        "kept_in": "file",
    }
    assert api.get("/user/viewer").json() == users["viewer"]
    for answer in (
        api.put("/user/viewer", json={"role": "admin"}),
        api.delete("/user/viewer"),
        api.put("/user/admin/password", json={"old": "admin", "new": "x"}),
    ):
        assert answer.status_code == 409
        assert "--users" in answer.json()["detail"]


def test_the_last_administrator_of_the_database_stays(api: httpx.Client) -> None:
    assert api.put("/user/ada", json={"role": "admin", "password": WORD}).status_code == 201
    for answer in (api.delete("/user/ada"), api.put("/user/ada", json={"role": "viewer"})):
        assert answer.status_code == 409
        assert "last administrator" in answer.json()["detail"]
    assert api.put("/user/bob", json={"role": "admin", "password": WORD}).status_code == 201
    assert api.delete("/user/ada").status_code == 200


def test_who_reads_users_administers(service: WebService, ada: httpx.Client) -> None:
    for user in ("viewer", "operator"):
        with service.client(user) as client:
            for path in ("/users", "/user/admin"):
                assert client.get(path).status_code == 403
    assert ada.put("/user/ada", json={"role": "admin"}).status_code == 403


# Tokens


def test_a_token_is_shown_once_and_may_do_what_it_says(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    body = {"role": "viewer", "clusters": {"web": "operator"}, "expires": "30d"}
    made = ada.put("/token/hers", json=body)
    assert made.status_code == 201
    record = made.json()
    token = record.pop("token")
    assert token.startswith("cmsr_")
    assert record["owner"] == "ada"
    assert ada.get("/token/hers").json() == record == ada.get("/tokens").json()[0]
    assert api.get("/tokens").json() == [record]
    with bearer(service, token) as program:
        me = program.get("/me").json()
        assert (me["name"], me["role"], me["clusters"]) == (
            "token:hers",
            "viewer",
            {"web": "operator"},
        )
        again = ada.put("/token/hers", json=body)
        assert again.status_code == 409
        assert ada.delete("/token/hers").json() == []
        assert program.get("/me").status_code == 403
    assert ada.delete("/token/hers").status_code == 404


def test_a_token_may_do_no_more_than_whoever_makes_it_now_and_later(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    end = {"expires": "1h"}
    for more in (
        {"role": "operator"},
        {"role": "viewer", "clusters": {"db": "operator"}},
        {"role": "viewer", "clusters": {"web": "admin"}},
    ):
        assert ada.put("/token/more", json=more | end).status_code == 403, more
    api.put("/user/ada", json={"role": "operator"})
    token = ada.put("/token/hers", json={"role": "operator"} | end).json()["token"]
    with bearer(service, token) as program:
        assert program.put("/cluster/db").status_code == 201
        api.put("/user/ada", json={"role": "viewer", "clusters": {}})
        assert program.put("/cluster/other").status_code == 403
        assert program.get("/clusters").status_code == 200
        api.delete("/user/ada")
        assert program.get("/clusters").status_code == 403


def test_somebody_elses_token_is_none_but_for_administrators(
    service: WebService, api: httpx.Client, ada: httpx.Client
) -> None:
    body = {"role": "viewer", "expires": "1h"}
    assert api.put("/token/theirs", json=body).status_code == 201
    assert ada.get("/tokens").json() == []
    assert ada.get("/token/theirs").status_code == 404
    assert ada.delete("/token/theirs").status_code == 404
    assert ada.put("/token/theirs", json=body).status_code == 409
    ada.put("/token/hers", json=body)
    assert api.delete("/token/hers").status_code == 200


def test_a_token_that_administers_nothing_may_revoke_itself_and_no_other(
    service: WebService, api: httpx.Client
) -> None:
    body = {"role": "viewer", "expires": "1h"}
    mine, other = (api.put(f"/token/{name}", json=body).json() for name in ("mine", "other"))
    with bearer(service, mine["token"]) as program:
        assert [token["name"] for token in program.get("/tokens").json()] == ["mine"]
        assert program.delete("/token/other").status_code == 404
        assert program.delete("/token/mine").status_code == 200
    assert [token["name"] for token in api.get("/tokens").json()] == [other["name"]]


def test_tokens_make_no_tokens(service: WebService, api: httpx.Client) -> None:
    body = {"role": "viewer", "expires": "1h"}
    token = api.put("/token/one", json=body | {"role": "admin"}).json()["token"]
    with bearer(service, token) as program:
        assert program.put("/token/two", json=body).status_code == 403
        assert program.delete("/token/one").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"role": "viewer"},
        {"role": "viewer", "expires": ""},
        {"role": "viewer", "expires": "never"},
        {"role": "viewer", "expires": "0d"},
        {"role": "viewer", "expires": "2020-01-01T00:00:00"},
        {"role": "viewer", "expires": 30},
        {"expires": "1h"},
    ],
)
def test_a_token_without_a_right_end_or_role_is_not_made(
    client: httpx.Client, body: dict[str, object]
) -> None:
    assert client.put("/token/wrong", json=body).status_code == 400
    assert client.get("/token/wrong").status_code == 404


@pytest.mark.parametrize("span", ["60s", "90m", "1.5h", "30d", "2w"])
def test_the_end_of_a_token_may_be_a_span_of_any_unit(client: httpx.Client, span: str) -> None:
    made = client.put(f"/token/for-{span}", json={"role": "viewer", "expires": span})
    assert made.status_code == 201
    assert made.json()["expires"] > made.json()["created"]


def test_the_end_of_a_token_may_be_a_time(client: httpx.Client) -> None:
    body = {"role": "viewer", "expires": "2999-01-31T12:00:00+02:00"}
    made = client.put("/token/late", json=body)
    assert made.json()["expires"] == "2999-01-31T10:00:00.000000"


def test_tokens_of_a_named_file_are_shown_as_of_the_file_and_revoked_there_only(
    front: WebService, client: httpx.Client, tmp_path: Path
) -> None:
    file = TokensFile(tmp_path / "tokens.json")
    file.path.write_text(
        json.dumps({"ci": {"hash": "0" * 64, "role": "viewer", "created": "2026-11-25T12:00:00Z"}})
    )
    front.accounts.tokens_file = file
    try:
        shown = client.get("/token/ci").json()
        assert (shown["kept_in"], shown["created"]) == ("file", "2026-11-25T12:00:00.000000")
        assert shown in client.get("/tokens").json()
        assert client.delete("/token/ci").status_code == 409
        body = {"role": "viewer", "expires": "1h"}
        assert client.put("/token/ci", json=body).status_code == 409
    finally:
        front.accounts.tokens_file = None


def test_new_passwords_are_hashed_as_dearly_as_those_of_the_command_line(
    front: WebService, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "new_cost", BCRYPT_COST)
    client.put("/user/dear", json={"role": "viewer", "password": WORD})
    hashed = front.accounts.users["dear"].hash
    assert hashed.startswith(b"$2b$12$")
    assert bcrypt.checkpw(WORD.encode(), hashed)
