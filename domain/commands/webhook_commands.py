"""Commands about webhooks: what is kept where secrets are changes with what is in the log."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from domain import options
from domain.aggregates.webhook import Form, Terms, Webhook
from domain.commands import fleet_commands
from domain.event import shifted
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.refusal import conflict, invalid

WEBHOOKS_MAX = 100
TYPES_MAX = SUBJECTS_MAX = 50
URL_CHARACTERS_MAX = 2048
BOTH_VALID_S = 24 * 3600.0
"""So long messages are signed with the secret before a rotation, too."""
READER = "runner:webhooks"
SECRET_PREFIX = "whsec_"  # noqa: S105 - how one begins
SECRET_BYTES = (24, 64)
"""How long the key of a secret may be, as Standard Webhooks has it."""
QUERY = re.compile(r"[!-\"$-~]*", re.ASCII)
MASK = "********"
"""Stands for the path and the query of a URL."""


class Secrets(fleet_commands.Secrets, Protocol):
    """Where URLs and secrets are kept, in the transaction of the events about them."""

    def reveal(self, tx: Transaction, subject: str, reader: str) -> bytes:
        """The secret that is kept for a subject."""
        ...


@dataclass(frozen=True)
class Kept:
    """What is kept of a webhook where secrets are."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    before: str = field(default="", repr=False)
    """The secret before this one; "" where there is none."""
    both_until: str = ""
    """Until when messages are signed with that, too."""

    def encoded(self) -> bytes:
        """As it is kept."""
        return orjson.dumps(self)

    def secrets_at(self, now: str) -> tuple[str, ...]:
        """The secrets to sign with at a time, the newest first."""
        return (self.secret, self.before) if now < self.both_until else (self.secret,)

    def is_outlived(self, now: str) -> bool:
        """Whether the secret before this one is kept, and nothing is signed with it any more."""
        return bool(self.before) and now >= self.both_until


def kept(encoded: bytes) -> Kept:
    """What `Kept.encoded` made."""
    return Kept(**orjson.loads(encoded))


@dataclass(frozen=True)
class WebhookRequest:
    """What a PUT asks for. `url` is the true one, or as it is shown; `secret` may be none."""

    url: str = field(repr=False)
    types: list[str]
    subjects: list[str]
    form: Form
    summaries: bool
    ca_path: str
    secret: str = field(default="", repr=False)

    @property
    def terms(self) -> Terms:
        """As the log has them."""
        return Terms(
            shown(self.url), self.types, self.subjects, self.form, self.summaries, self.ca_path
        )


def shown(url: str) -> str:
    """A URL with a mask in place of its path and query, where it has any."""
    parts = urlsplit(url)
    is_bare = parts.path in ("", "/") and not parts.query
    return f"{parts.scheme}://{parts.netloc}/{'' if is_bare else MASK}"


def checked_url(url: str) -> str:
    """A URL that can be sent to. The refusal does not quote it."""
    place, _, query = url.partition("?")
    fault = options.url(place)
    if fault is None and (len(url) > URL_CHARACTERS_MAX or not QUERY.fullmatch(query)):
        fault = f"must be {URL_CHARACTERS_MAX} visible characters at most, without a fragment"
    if fault is not None:
        raise invalid(f"url {fault}.", "url")
    return url


def checked_secret(secret: str) -> str:
    """A secret that messages can be signed with. The refusal does not quote it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    least, most = SECRET_BYTES
    if not secret.startswith(SECRET_PREFIX) or not least <= len(key) <= most:
        raise invalid(
            f"secret must be {SECRET_PREFIX} and base64 of {least} to {most} bytes.", "secret"
        )
    return secret


def put_webhook(
    unit: Unit,
    secrets: Secrets,
    name: str,
    wanted: WebhookRequest,
    *,
    fresh: str,
    count: Callable[[Transaction], int],
) -> str:
    """Have a webhook of these terms; gives `fresh`, where that became its secret.

    The same again is no news, and lets one go on that was given up. Another secret is a rotation.
    """
    webhook = unit.webhook(name)
    if not webhook.exists:
        if MASK in wanted.url:
            raise invalid(f"url is masked, but none is kept for {name}: send it whole.", "url")
        if count(unit.tx) >= WEBHOOKS_MAX:
            raise conflict(f"There are {WEBHOOKS_MAX} webhooks already: remove one first.")
        webhook.create(wanted.terms)
        secret = wanted.secret or fresh
        secrets.replace(unit, webhook.id, Kept(wanted.url, secret).encoded())
        return "" if wanted.secret else fresh
    was = kept(secrets.reveal(unit.tx, webhook.id, READER))
    url = was.url if wanted.url == shown(was.url) else wanted.url
    if MASK in url:
        raise invalid("url is masked, and is not the one that is kept: send it whole.", "url")
    becomes = replace(was, url=url)
    if wanted.secret and wanted.secret != was.secret:
        becomes = _rotated(webhook, becomes, wanted.secret, unit.act.at)
    webhook.change(wanted.terms, elsewhere=url != was.url)
    if becomes != was:
        secrets.replace(unit, webhook.id, becomes.encoded())
    return ""


def rotate_secret(unit: Unit, secrets: Secrets, name: str, secret: str) -> None:
    """Sign with this secret from now on, and for a day with the one before it as well."""
    webhook = unit.webhook(name)
    webhook.must_exist()
    was = kept(secrets.reveal(unit.tx, webhook.id, READER))
    if secret != was.secret:
        becomes = _rotated(webhook, was, secret, unit.act.at)
        secrets.replace(unit, webhook.id, becomes.encoded())


def forget_secret_before(unit: Unit, secrets: Secrets, name: str) -> None:
    """Destroy the secret before this one, where messages are not signed with it any more."""
    subject = f"{Webhook.KIND}/{name}"
    was = kept(secrets.reveal(unit.tx, subject, READER))
    if was.is_outlived(unit.act.at):
        secrets.replace(unit, subject, replace(was, before="", both_until="").encoded())


def remove_webhook(unit: Unit, secrets: Secrets, name: str) -> None:
    """Send nothing there any more; its URL and secret are destroyed."""
    webhook = unit.webhook(name)
    webhook.remove()
    secrets.destroy(unit, webhook.id)


def _rotated(webhook: Webhook, was: Kept, secret: str, at: str) -> Kept:
    both_until = shifted(at, BOTH_VALID_S)
    webhook.rotate_secret(both_until)
    return Kept(was.url, secret, was.secret, both_until)
