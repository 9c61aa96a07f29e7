"""Receivers over HTTP: one POST for each message, on a connection of its own.

Nothing that a receiver answers is kept, but for its status. Redirects are not followed, since only
administrators say where events go.
"""

import asyncio
import re
import ssl
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import httpx

from runners.os_support.shortage import shortage_of
from runners.os_support.trust import trust_in
from runners.webhooks.host_names import HostNames, NoAddress

LIMIT_S = 20.0
"""For the whole exchange, with the lookup of the name."""
CONNECT_LIMIT_S = 5.0
"""For each of the addresses of a name."""
ANSWER_LIMIT_S = 1.0
ANSWER_BYTES_MAX = 64 * 1024
"""How much of the body of an answer is read, and for how long; then the connection is cut."""

OUR_SHORTAGE = "This machine has run out: {}."

WAIT_STATUSES = (429, 503)
"""Of these `Retry-After` counts."""
SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `http`: without one, each client makes one of its own, which takes 0.3 ms."""


class Answer(NamedTuple):
    """What came of a message. `status` is 0 where there was no answer."""

    status: int
    took_ms: int
    fault: str
    """Why it was not delivered, a sentence for people; "" where it was."""
    retry_after_s: int = 0
    """How long it asks not to be sent anything; 0 where it asks for nothing."""


class Said(NamedTuple):
    """What is read of an answer."""

    status: int
    retry_after: str


class NotDelivered(Exception):
    """There was no answer; the text is a sentence for people, without the URL."""


class HttpReceiver:
    """Sends messages. Nothing is left open between two of them."""

    def __init__(self) -> None:
        self._names = HostNames()
        self._trusted: dict[str, tuple[int, ssl.SSLContext]] = {}
        """By path of a file of certificates: when that was changed, and what was read."""

    async def send(self, url: str, ca_path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a message, and say what came of it. Never raises, but for cancellation."""
        begun = monotonic()
        said, fault = Said(0, ""), ""
        try:
            async with asyncio.timeout(LIMIT_S):
                said = await self._said(url, ca_path, headers, body)
        except NotDelivered as failure:
            fault = str(failure)
        except TimeoutError:
            fault = f"It did not answer within {LIMIT_S:g} seconds."
        except Exception as defect:  # noqa: BLE001 - whatever a URL or a receiver brings about
            lacking = shortage_of(defect)  # else not its text, which may quote the URL
            kind = type(defect).__name__
            fault = OUR_SHORTAGE.format(lacking) if lacking else f"The exchange failed: {kind}."
        if said.status:
            fault = _fault_of(said.status)
        took_ms = int((monotonic() - begun) * 1000)
        return Answer(said.status, took_ms, fault, _retry_after_s(said))

    async def _said(self, url: str, ca_path: str, headers: Mapping[str, str], body: bytes) -> Said:
        parsed = httpx.URL(url)
        trust = await self._trust(ca_path) if parsed.scheme == "https" else NO_TLS
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        try:
            addresses = await self._names.addresses(parsed.host, port)
        except NoAddress as failure:
            raise NotDelivered(str(failure)) from None
        sent = {**headers, "host": parsed.netloc.decode(), "connection": "close"}
        last = NotDelivered("Its name has no address.")
        async with httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(LIMIT_S, connect=CONNECT_LIMIT_S),
        ) as client:
            for address in addresses:
                there = parsed.copy_with(host=address)
                try:
                    return await _exchange(client, there, parsed.host, sent, body)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    reason = str(error) or "there is nobody"
                    last = NotDelivered(f"It cannot be reached: {reason}.")
                    if lacking := shortage_of(error):
                        raise NotDelivered(OUR_SHORTAGE.format(lacking)) from None
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    # Not its text, which may quote the URL.
                    kind = type(error).__name__
                    raise NotDelivered(f"The exchange failed: {kind}.") from None
        raise last

    async def _trust(self, ca_path: str) -> ssl.SSLContext:
        try:
            return await asyncio.to_thread(self._read_trust, ca_path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NotDelivered(f"{ca_path or 'The trust'} cannot be read: {reason}.") from None

    def _read_trust(self, ca_path: str) -> ssl.SSLContext:
        changed = 0
        if ca_path:
            found = Path(ca_path).stat()
            if not stat.S_ISREG(found.st_mode):  # a pipe would never be read to its end
                raise ValueError("it is no file")
            changed = found.st_mtime_ns
        known = self._trusted.get(ca_path)
        if known is None or known[0] != changed:
            known = changed, trust_in(ca_path or None)
            self._trusted[ca_path] = known
        return known[1]


async def _exchange(
    client: httpx.AsyncClient,
    there: httpx.URL,
    name: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Said:
    more = {"sni_hostname": name}  # its certificate is checked against its name
    async with client.stream(
        "POST", there, headers=headers, content=body, extensions=more
    ) as answer:
        # The status is all that counts: whatever becomes of the body.
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await _pass_over(answer)
        return Said(answer.status_code, answer.headers.get("retry-after", ""))


async def _pass_over(answer: httpx.Response) -> None:
    size = 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size >= ANSWER_BYTES_MAX:
            return


def _retry_after_s(said: Said) -> int:
    """In seconds alone; a date would need the two clocks to agree."""
    asks = said.status in WAIT_STATUSES and SECONDS.fullmatch(said.retry_after)
    return int(said.retry_after) if asks else 0


def _fault_of(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answered {status}: redirects are not followed."
    return f"It answered {status}."
