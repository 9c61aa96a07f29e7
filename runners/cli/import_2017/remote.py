"""A service whose API v0 is asked: the old one, which is only read, and the new one.

Nothing of an answer is ever quoted but names: what a stranger sends may hold keys.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import httpx

from runners.os_support.bounded_body import PLAIN, UnusableAnswer, body_of
from runners.os_support.json_file import ChangeRefused

ANSWER_BYTES_MAX = 16 * 1024 * 1024
TRIES = 3
"""Of a request whose answer was lost, or that came at a bad moment: all of ours may be repeated."""
PAUSE_S = 0.5
BUSY = (429, 503)
NOT_LET_IN = (401, 403)
API = "/api/v0"


class Answer(NamedTuple):
    """Its status, and its JSON; None for what is none. `detail` is the sentence of a refusal."""

    status: int
    body: Any  # JSON
    detail: str = ""


class Login(NamedTuple):
    """How one lets us in: a user and a password, a token, or nothing."""

    user: str | None = None
    password: str = ""
    token: str = ""


class Remote:
    """The API of one service. Everything raised is ChangeRefused, in words for people."""

    def __init__(
        self,
        url: str,
        login: Login,
        trust: ssl.SSLContext,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = root_of(url)
        self._timeout_s = timeout_s
        token = {"authorization": f"Bearer {login.token}"} if login.token else {}
        self._http = httpx.AsyncClient(
            base_url=self.url + API,
            headers={**PLAIN, **token, **(headers or {})},
            auth=(login.user.encode(), login.password.encode()) if login.user else None,
            verify=trust,
            timeout=None,  # noqa: S113 - of the whole request, in `_sent`
            # Neither a proxy nor ~/.netrc behind our back: credentials go where they are meant to.
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, *path: str) -> Answer:
        """What it says at a path, given in its parts."""
        return await self._asked("GET", path, None)

    async def put(self, path: tuple[str, ...], body: Mapping[str, object]) -> Answer:
        """Have something be there."""
        return await self._asked("PUT", path, body)

    async def _asked(
        self, verb: str, parts: tuple[str, ...], body: Mapping[str, object] | None
    ) -> Answer:
        path = "/" + "/".join(quote(part, safe="") for part in parts)
        for left in reversed(range(TRIES)):
            try:
                answer = await self._sent(verb, path, body)
            except TimeoutError:
                why = f"nothing whole came within {self._timeout_s:g} s (--timeout)"
            except httpx.HTTPError as error:
                why = _why(error)
            except UnusableAnswer as unusable:
                raise ChangeRefused(f"{self.url}: its answer to {path} {unusable}") from None
            else:
                if answer.status not in BUSY or not left:
                    return answer
                why = ""
            if not left:
                raise ChangeRefused(f"{self.url} does not answer {verb} {path}: {why}.")
            await asyncio.sleep(PAUSE_S * (TRIES - left))
        raise AssertionError("the last try returns or raises")

    async def _sent(self, verb: str, path: str, body: Mapping[str, object] | None) -> Answer:
        # What a stranger sent may be no text that UTF-8 has: in ASCII all of it can be sent on.
        content = None if body is None else json.dumps(body).encode()
        async with (
            asyncio.timeout(self._timeout_s),
            self._http.stream(verb, path, content=content) as answer,
        ):
            text = await body_of(answer, ANSWER_BYTES_MAX)
        if answer.is_redirect:
            raise ChangeRefused(f"{self.url} leads elsewhere: name the address where it is itself.")
        told = _json(text)
        detail = told.get("detail") if isinstance(told, dict) else None
        return Answer(answer.status_code, told, detail if isinstance(detail, str) else "")


def root_of(url: str) -> str:
    """The address of a service, without the path of its API. Raises ChangeRefused."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
        parts = urlsplit("")
    if "@" in url:  # it is not quoted: there is a password in it
        raise ChangeRefused("An address holds no password: name the user with --user.")
    if not is_one or parts.query or parts.fragment:
        raise ChangeRefused(f"{url} is no address of a service, such as http://10.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix(API).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _why(error: httpx.HTTPError) -> str:
    """What httpx says of a connection, which has nothing of an answer in it."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "what came is no whole answer of HTTP"
    return (str(error) or type(error).__name__).rstrip(".")
