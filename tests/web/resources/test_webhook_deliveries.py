"""`/webhook/{name}/deliveries`: what was sent and what came of it; and who is told of trouble."""

from secrets import token_urlsafe
from typing import Any

import httpx
import pytest

from projections.beside_the_log import webhook_deliveries
from projections.beside_the_log.webhook_deliveries import (
    KEPT_MAX,
    TESTS_KEPT_MAX,
    Attempt,
    Cursor,
)
from projections.webhooks.queries import TROUBLE_FAILURES
from tests.web.service import WebService
from web.schemas.fleet_records import Need
from web.schemas.webhook_shapes import DeliveryRecord

HOOK = "/webhook/chat"
AT = "2026-01-02T03:04:05.000006"


@pytest.fixture
def body() -> dict[str, Any]:
    """A webhook whose URL nobody else has."""
    return {"url": f"https://chat.example/services/{token_urlsafe(24)}"}


def test_the_latest_deliveries_are_kept_the_newest_first(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    api.put(HOOK, json=body)
    begun = service.events[0].position

    def deliver(tx: Any) -> None:
        for number in range(1, KEPT_MAX + 11):
            fault = "" if number % 2 else "It answered 500."
            status = 204 if number % 2 else 500
            webhook_deliveries.move(
                tx,
                Cursor("chat", begun, begun + number, number, number % 2, AT, fault),
                Attempt(AT, begun + number, "host.failed", "host/10.0.0.7", status, 3, fault),
            )

    service.perform(lambda unit: unit.write_beside(deliver))
    found = api.get(f"{HOOK}/deliveries").json()
    assert len(found) == KEPT_MAX
    assert [each["position"] - begun for each in found] == [*range(KEPT_MAX + 10, 10, -1)]
    assert (found[0]["delivered"], found[0]["status"]) == (False, 500)
    assert (found[1]["delivered"], found[1]["reason"]) == (True, None)
    for each in found:
        DeliveryRecord.model_validate(each)


def test_tests_are_among_the_deliveries_and_push_no_delivery_out(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    api.put(HOOK, json=body)
    begun = service.events[0].position

    def deliver(number: int) -> None:
        to = Cursor("chat", begun, begun + number, number)
        told = Attempt(AT, begun + number, "host.failed", "host/10.0.0.7", 204, 3, "")
        service.perform(
            lambda unit: unit.write_beside(lambda tx: webhook_deliveries.move(tx, to, told))
        )

    async def tried(name: str) -> Attempt | None:
        return Attempt(AT, 0, "webhook.test", f"webhook/{name}", 204, 7, "")

    service.try_webhook = tried
    deliver(1)
    api.post(f"{HOOK}/test", json={})
    deliver(2)
    found = api.get(f"{HOOK}/deliveries").json()
    assert [each["position"] for each in found] == [begun + 2, 0, begun + 1]
    for _ in range(TESTS_KEPT_MAX + 2):
        api.post(f"{HOOK}/test", json={})
    found = [each["position"] for each in api.get(f"{HOOK}/deliveries").json()]
    assert found == [0] * TESTS_KEPT_MAX + [begun + 2, begun + 1]
    assert api.get(HOOK).json()["position"] == begun + 2
    api.delete(HOOK)
    api.put(HOOK, json=body)
    assert api.get(f"{HOOK}/deliveries").json() == []


def test_one_that_fails_for_a_while_needs_a_person_before_it_is_given_up(
    api: httpx.Client, service: WebService, body: dict[str, Any]
) -> None:
    api.put(HOOK, json=body)
    begun = service.events[0].position

    def needs(failures: int) -> list[dict[str, Any]]:
        to = Cursor("chat", begun, begun - 1, 12, failures, AT, "It answered 500.")
        service.perform(lambda unit: unit.write_beside(lambda tx: webhook_deliveries.move(tx, to)))
        return list(api.get("/fleet").json()["needs_a_person"])

    assert needs(TROUBLE_FAILURES - 1) == []
    (need,) = needs(TROUBLE_FAILURES)
    Need.model_validate(need)
    told = [need[key] for key in ("what", "webhook", "since", "reason", "count", "hosts")]
    assert told == ["failing_webhook", "chat", AT, "It answered 500.", 1, []]
    service.perform(lambda unit: unit.webhook("chat").give_up(1, AT, "It answered 500."))
    (need,) = api.get("/fleet").json()["needs_a_person"]
    assert need["what"] == "given_up_webhook"
