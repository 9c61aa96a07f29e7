"""`/webhooks` and `/webhook/{name}`: administrators say where events go, and see no secret."""

import re
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest

from domain.aggregates.webhook import GaveUp
from domain.commands.webhook_commands import READER, WEBHOOKS_MAX, Kept, kept
from domain.log.recorder import entries
from projections.beside_the_log import webhook_deliveries
from projections.beside_the_log.webhook_deliveries import Attempt, Cursor
from runners.security.vault import NoSecret
from tests.support.webhook_receiver import SECRET
from tests.web.service import WebService
from web.schemas.webhook_shapes import DeliveryRecord, NewWebhookRecord, WebhookRecord

HOOK = "/webhook/chat"
AT = "2026-01-02T03:04:05.000006"


@pytest.fixture
def body() -> dict[str, Any]:
    """A webhook whose URL nobody else has."""
    return {"url": f"https://chat.example/services/{token_urlsafe(24)}"}


def sealed(service: WebService, name: str = "chat") -> Kept | None:
    """What the vault has."""
    with service.engine.snapshot() as tx:
        try:
            return kept(service.vault.reveal(tx, f"webhook/{name}", READER))
        except NoSecret:
            return None


def written(service: WebService, directory: Path) -> Iterator[bytes]:
    """Everything that the service told or stored."""
    yield repr(service.log).encode()
    yield repr(service.events).encode()
    with service.engine.snapshot() as tx:
        for entry in entries(tx, 0, 1_000):
            yield bytes(entry.stored.state)
        yield repr(tx.execute("SELECT * FROM webhooks").fetchall()).encode()
        yield repr(tx.execute("SELECT * FROM vault").fetchall()).encode()
    for path in directory.iterdir():
        yield path.read_bytes()


def key_of(answer: httpx.Response, status: int = 400) -> str:
    """The key that a refusal names."""
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    return str(error["key"])


def test_one_is_made_with_a_secret_that_is_shown_this_once(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    answer = api.put(HOOK, json=body)
    assert answer.status_code == 201
    record = NewWebhookRecord.model_validate_json(answer.content)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", record.secret or "")
    assert record.url == "https://chat.example/********"
    again = api.put(HOOK, json=body)
    assert (again.status_code, again.json()) == (201, answer.json() | {"secret": None})
    shown = api.get(HOOK).json()
    assert shown == {k: v for k, v in answer.json().items() if k != "secret"}
    WebhookRecord.model_validate(shown)
    assert api.get("/webhooks").json() == [shown]
    assert sealed(service) == Kept(body["url"], record.secret or "")
    assert service.topics() == ["webhook.created"]


def test_neither_url_nor_secret_are_anywhere_but_in_the_vault(
    api: httpx.Client, service: WebService, body: dict[str, Any], tmp_path: Path
) -> None:
    first = api.put(HOOK, json=body).json()["secret"]
    second = api.post(f"{HOOK}/secret").json()["secret"]
    assert api.put("/webhook/other", json=body | {"secret": SECRET}).json()["secret"] is None
    api.put("/webhook/other", json=body | {"secret": "whsec_wrong"})
    api.put("/webhook/other", json=body | {"url": f"{body['url']}#x"})
    path = body["url"].rpartition("/")[2]
    for text in written(service, tmp_path):
        for secret in (first, second, SECRET, path):
            assert secret.removeprefix("whsec_").encode() not in text


def test_it_is_changed_by_another_put_and_its_masked_url_stays(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    shown = api.put(HOOK, json=body | {"secret": SECRET}).json()["url"]
    wanted = {
        "url": shown,
        "types": ["host.failed", "operation.*", "host.failed"],
        "subjects": ["host/010.0.0.7", "cluster/web", "host/::ffff:10.0.0.8"],
        "form": "text",
        "summaries": True,
        "ca_path": "/etc/pki/ours.pem",
    }
    record = api.put(HOOK, json=wanted).json()
    assert record["types"] == ["host.failed", "operation.*"]
    assert record["subjects"][1:] == ["cluster/web", "host/10.0.0.8"]
    assert (record["form"], record["summaries"]) == ("text", True)
    assert record["ca_path"] == "/etc/pki/ours.pem"
    assert sealed(service) == Kept(body["url"], SECRET)
    api.put(HOOK, json=wanted)
    assert service.topics() == ["webhook.created", "webhook.changed"]
    # Only what is masked changes: an event, and what is kept.
    api.put(HOOK, json=wanted | {"url": body["url"] + "x"})
    assert service.topics()[2:] == ["webhook.changed"]
    assert sealed(service) == Kept(body["url"] + "x", SECRET)


def test_a_rotated_secret_and_the_one_before_are_kept_for_a_day(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    first = api.put(HOOK, json=body).json()["secret"]
    answer = api.post(f"{HOOK}/secret", json={})
    assert answer.status_code == 201
    now = sealed(service)
    assert now is not None
    assert (now.secret, now.before) == (answer.json()["secret"], first)
    rotated = service.events[-1].event
    assert (rotated.TOPIC, rotated.__dict__["both_until"]) == (
        "webhook.secret_rotated",
        now.both_until,
    )
    assert rotated.at[:10] < now.both_until[:10]
    # One's own, by PUT or POST; the same again is no news.
    for _ in range(2):
        assert api.post(f"{HOOK}/secret", json={"secret": SECRET}).json() == {"secret": None}
        api.put(HOOK, json=body | {"secret": SECRET})
    now = sealed(service)
    assert now is not None
    assert (now.secret, now.before) == (SECRET, answer.json()["secret"])
    assert service.topics().count("webhook.secret_rotated") == 2
    assert api.post("/webhook/none/secret").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"url": "chat.example"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://a:b@chat.example/"}, "url"),
        ({"url": "https://other.example/********"}, "url"),
        ({"url": "https://chat.example/hook?key=a#b"}, "url"),
        ({"types": ["host.flies"]}, "types"),
        ({"types": ["flies.*"]}, "types"),
        ({"types": ["*"]}, "types"),
        ({"types": ["host"]}, "types"),
        ({"types": ["host.failed"] * 51}, "types"),
        ({"subjects": ["host/ü"]}, "subjects"),
        ({"subjects": [""]}, "subjects"),
        ({"form": "yaml"}, "form"),
        ({"summaries": "yes"}, "summaries"),
        ({"ca_path": "ours.pem"}, "ca_path"),
        ({"secret": "geheim"}, "secret"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_400_and_changes_nothing(
    client: httpx.Client, front: WebService, body: dict[str, Any], wrong: dict[str, Any], key: str
) -> None:
    name = f"n{len(front.events)}"
    assert key_of(client.put(f"/webhook/{name}", json=body | wrong)).startswith(key)
    assert sealed(front, name) is None
    client.put(f"/webhook/{name}", json=body)
    known, begun = sealed(front, name), len(front.events)
    assert key_of(client.put(f"/webhook/{name}", json=body | wrong)).startswith(key)
    assert sealed(front, name) == known
    assert len(front.events) == begun


def test_a_name_that_is_none_is_400_and_what_is_not_there_404(
    api: httpx.Client, body: dict[str, Any]
) -> None:
    assert api.put("/webhook/a%20b", json=body).status_code == 400
    for verb, path in (
        *(("GET", HOOK), ("DELETE", HOOK), ("POST", f"{HOOK}/secret")),
        ("GET", f"{HOOK}/deliveries"),
    ):
        assert api.request(verb, path).status_code == 404


@pytest.mark.parametrize("user", ["viewer", "operator"])
def test_they_are_for_administrators_alone(
    service: WebService, api: httpx.Client, body: dict[str, Any], user: str
) -> None:
    api.put(HOOK, json=body)
    with service.client(user) as client:
        for verb, path in (
            *(("GET", "/webhooks"), ("GET", HOOK), ("GET", f"{HOOK}/deliveries")),
            *(("PUT", HOOK), ("DELETE", HOOK), ("POST", f"{HOOK}/test")),
            ("POST", f"{HOOK}/secret"),
        ):
            assert client.request(verb, path).status_code == 403
    assert service.topics() == ["webhook.created"]


def test_what_is_removed_is_destroyed_and_can_be_made_anew(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    api.put(HOOK, json=body)
    begun = service.events[0].position
    moved = Cursor("chat", begun, begun, attempts=1)
    told = Attempt(AT, begun, "webhook.created", "webhook/chat", 204, 3, "")
    service.perform(
        lambda unit: unit.write_beside(lambda tx: webhook_deliveries.move(tx, moved, told))
    )
    assert len(api.get(f"{HOOK}/deliveries").json()) == 1
    assert api.delete(HOOK).json() == []
    assert sealed(service) is None
    assert api.get("/webhooks").json() == []
    api.put(HOOK, json=body)
    assert api.get(f"{HOOK}/deliveries").json() == []
    # A process that was held up meanwhile writes of the one before.
    service.perform(
        lambda unit: unit.write_beside(lambda tx: webhook_deliveries.move(tx, moved, told))
    )
    assert api.get(HOOK).json()["position"] == service.events[-1].position - 1
    assert api.get(f"{HOOK}/deliveries").json() == []


def test_there_are_so_many_at_most(api: httpx.Client, body: dict[str, Any]) -> None:
    for number in range(WEBHOOKS_MAX):
        assert api.put(f"/webhook/n{number}", json=body).status_code == 201
    assert api.put(HOOK, json=body).status_code == 409
    assert api.put("/webhook/n1", json=body | {"form": "text"}).status_code == 201


def test_one_that_was_given_up_needs_a_person_until_it_is_asked_for(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    shown = api.put(HOOK, json=body).json()["url"]
    service.perform(lambda unit: unit.webhook("chat").give_up(1, AT, "It answered 500."))
    assert isinstance(service.events[-1].event, GaveUp)
    assert api.get(HOOK).json()["status"] == "given_up"
    (need,) = api.get("/fleet").json()["needs_a_person"]
    told = [need[key] for key in ("what", "webhook", "since", "reason", "count", "hosts")]
    assert told == ["given_up_webhook", "chat", AT, "It answered 500.", 1, []]
    past = api.get("/fleet", params={"at": AT})
    assert past.status_code in (200, 400)
    api.put(HOOK, json={"url": shown})
    assert api.get("/fleet").json()["needs_a_person"] == []
    assert service.topics()[-1] == "webhook.resumed"


def test_a_trial_says_what_came_of_it(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    api.put(HOOK, json=body)
    assert api.post(f"{HOOK}/test").status_code == 503

    async def tried(name: str) -> Attempt | None:
        if name != "chat":
            return None
        return Attempt(AT, 0, "webhook.test", "webhook/chat", 0, 7, "It cannot be reached.")

    service.try_webhook = tried
    answer = api.post(f"{HOOK}/test", json={})
    assert answer.status_code == 200
    record = DeliveryRecord.model_validate_json(answer.content)
    assert (record.delivered, record.status) == (False, None)
    assert record.reason == "It cannot be reached."
    assert api.post("/webhook/none/test").status_code == 404
    assert service.topics() == ["webhook.created"]
    assert api.get(f"{HOOK}/deliveries").json() == [answer.json()]
