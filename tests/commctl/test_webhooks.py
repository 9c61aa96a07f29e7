"""Webhooks by `commctl`: secrets in no argument, what is not said stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commctl.operator import Operator
from tests.support.service import Service, wait_for
from tests.support.webhook_receiver import SECRET, WebhookReceiver


@pytest.fixture
def there() -> Iterator[WebhookReceiver]:
    """A receiver."""
    with WebhookReceiver() as running:
        yield running


def secret_file(operator: Operator, name: str, text: str) -> Path:
    """A file that nobody else reads."""
    path = operator.home / name
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_a_webhook_is_added_tried_changed_and_removed(
    operator: Operator, service: Service, there: WebhookReceiver
) -> None:
    url = str(secret_file(operator, "url", f"{there.url}\n"))
    made = operator.run("webhook", "add", "chat", "--url-file", url, "--type", "cluster.created")
    assert "Shown only now" in made.stderr
    secret = made.stdout.strip()
    assert secret.startswith("whsec_")
    again = operator.run("webhook", "add", "chat", "--url-file", url, status=1)
    assert "webhook set" in again.stderr
    (row,) = operator.rows("webhook", "list")
    assert row[:2] == ["chat", "active"]
    assert "made-up" not in " ".join(row)
    assert operator.json("webhook", "test", "chat")["delivered"] is True
    there.received[0].must_be_signed(secret)
    service.client.put("/cluster/web")
    wait_for(lambda: len(operator.rows("webhook", "deliveries", "chat")) == 2)
    sent, test = operator.json("webhook", "deliveries", "chat")
    assert (sent["subject"], sent["delivered"]) == ("cluster/web", True)
    assert (test["type"], test["delivered"], test["position"]) == ("webhook.test", True, 0)
    operator.run("webhook", "set", "chat", "--form", "text", "--summaries")
    shown = operator.json("webhook", "show", "chat")
    assert (shown["types"], shown["form"]) == (["cluster.created"], "text")
    assert shown["summaries"] is True
    operator.run("webhook", "set", "chat", "--type", "all", "--subject", "cluster/db")
    shown = operator.json("webhook", "show", "chat")
    assert (shown["types"], shown["subjects"]) == ([], ["cluster/db"])
    service.client.put("/cluster/db")
    wait_for(lambda: len(there.taken) == 3)
    assert there.taken[2].event["text"].startswith("cluster/db: created")
    assert operator.rows("webhook", "rm", "chat", "-y") == [["chat", "removed", ""]]
    assert operator.rows("webhook", "list") == []


def test_a_secret_is_brought_along_and_rotated(
    operator: Operator, service: Service, there: WebhookReceiver
) -> None:
    file = str(secret_file(operator, "secret", SECRET))
    made = operator.run("webhook", "add", "chat", there.url, "--secret-file", file)
    assert made.stdout == ""
    assert SECRET not in made.stderr
    other = operator.run("webhook", "rotate", "chat").stdout.strip()
    operator.run("webhook", "test", "chat")
    wait_for(lambda: [one for one in there.received if one.event["type"] == "webhook.test"])
    (tried,) = [one for one in there.received if one.event["type"] == "webhook.test"]
    tried.must_be_signed(SECRET)
    tried.must_be_signed(other)


def test_what_does_not_arrive_ends_with_1_and_says_why(operator: Operator) -> None:
    operator.run("webhook", "add", "dead", "http://127.77.0.1:1/", "--type", "webhook.removed")
    tried = operator.run("webhook", "test", "dead", status=1)
    assert "It cannot be reached" in tried.stdout
    assert operator.rows("webhook", "resume", "dead") == [["dead", "goes on", ""]]
    assert operator.rows("webhook", "resume", "none", status=1)[0][:2] == ["none", "refused"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "x"), 2, "--url-file"),
        (("add", "x", "http://a.example/", "--url-file", "url"), 2, "one of the two"),
        (("add", "x", "ftp://a.example/"), 1, "url must be a URL"),
        (("add", "x", "http://a.example/", "--type", "host.flies"), 1, "no type of event"),
        (("show", "none"), 1, "There is no webhook none"),
        (("test", "none"), 1, "There is no webhook none"),
    ],
)
def test_what_makes_no_sense_is_said(
    operator: Operator, words: tuple[str, ...], status: int, said: str
) -> None:
    assert said in operator.run("webhook", *words, status=status).stderr
