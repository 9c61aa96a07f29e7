"""Webhooks: what becomes of them, and which URLs and secrets can be used."""

import pytest

from domain.aggregates.webhook import (
    Changed,
    Created,
    GaveUp,
    Removed,
    Resumed,
    SecretRotated,
    Terms,
    Webhook,
)
from domain.commands.webhook_commands import Kept, checked_secret, checked_url, kept, shown
from domain.refusal import Refusal
from tests.domain.given import given

TERMS = Terms("https://chat.example/********", ["host.failed"], [], "text", False, "")
OTHERS = Terms("https://chat.example/********", [], ["cluster/web"], "text", True, "")
SINCE = "2026-01-02T03:04:05.000006"
CREATED = Created(**vars(TERMS))
GAVE_UP = GaveUp(117, SINCE, "It answered 500.")


def test_it_is_created_changed_and_removed() -> None:
    given(Webhook, "chat").when(Webhook.create, TERMS).then(CREATED)
    given(Webhook, "chat", CREATED).when(Webhook.change, OTHERS).then(Changed(**vars(OTHERS)))
    given(Webhook, "chat", CREATED).when(Webhook.remove).then(Removed())
    given(Webhook, "chat", CREATED, Removed()).when(Webhook.create, TERMS).then(CREATED)


def test_the_same_terms_again_are_no_news_unless_it_goes_elsewhere() -> None:
    given(Webhook, "chat", CREATED).when(Webhook.change, TERMS).then()
    elsewhere = given(Webhook, "chat", CREATED)
    elsewhere.when(lambda hook: hook.change(TERMS, elsewhere=True)).then(Changed(**vars(TERMS)))


def test_it_is_given_up_once_and_goes_on_when_somebody_asks_for_it() -> None:
    given(Webhook, "chat", CREATED).when(Webhook.give_up, 117, SINCE, "It answered 500.").then(
        GAVE_UP
    )
    given(Webhook, "chat", CREATED, GAVE_UP).when(Webhook.give_up, 118, SINCE, "").then()
    given(Webhook, "chat").when(Webhook.give_up, 118, SINCE, "").then()
    given(Webhook, "chat", CREATED, GAVE_UP).when(Webhook.change, TERMS).then(Resumed())
    given(Webhook, "chat", CREATED, GAVE_UP).when(Webhook.remove).then(Removed())


def test_what_is_not_there_is_neither_removed_nor_rotated() -> None:
    given(Webhook, "chat").when(Webhook.remove).refuses("not_found")
    given(Webhook, "chat").when(Webhook.rotate_secret, SINCE).refuses("not_found")
    rotated = given(Webhook, "chat", CREATED).when(Webhook.rotate_secret, SINCE)
    rotated.then(SecretRotated(SINCE))


@pytest.mark.parametrize(
    ("url", "as_shown"),
    [
        ("https://chat.example/services/T0/B0/key", "https://chat.example/********"),
        ("http://10.0.0.7:8080", "http://10.0.0.7:8080/"),
        ("http://[2001:db8::7]:8080/?key=1", "http://[2001:db8::7]:8080/********"),
        ("https://localhost/", "https://localhost/"),
    ],
)
def test_of_a_url_only_where_it_goes_is_shown(url: str, as_shown: str) -> None:
    assert shown(checked_url(url)) == as_shown


@pytest.mark.parametrize(
    "url",
    [
        *("", "chat", "ftp://chat.example/", "https://", "https:///path", "https://a:b@c.example/"),
        *("https://c.example/#x", "https://c.example:99999/", "https://c.example:0/"),
        *("https://c.example/ x", "https://c.example/\n", "https://ü.example/", "https://[::1"),
        *(
            "http://1.2.3.999/",
            "http://xn--/",
            "http://[v1.x]/",
            "https://.c.example/",
            "http://a..b/",
        ),
        *("https:\\\\c.example", f"https://c.example/{'x' * 2048}"),
    ],
)
def test_what_is_no_url_to_send_to_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked_url(url)
    assert refused.value.key == "url"
    assert "c.example" not in refused.value.sentence


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!", "c2hvcnQ=" * 4])
def test_what_nothing_can_be_signed_with_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked_secret(secret)
    assert refused.value.key == "secret"
    assert "c2hvcnQ" not in refused.value.sentence


def test_the_secret_before_is_signed_with_until_its_time_is_over() -> None:
    both = Kept("https://c.example/x", "whsec_new", "whsec_old", "2026-01-03T00:00:00.000000")
    assert kept(both.encoded()) == both
    assert both.secrets_at("2026-01-02T23:59:59.999999") == ("whsec_new", "whsec_old")
    assert both.secrets_at("2026-01-03T00:00:00.000000") == ("whsec_new",)
    assert "whsec" not in repr(both)
    assert "c.example" not in repr(both)
