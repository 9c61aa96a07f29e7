"""Characters that no database, path or log line should have to swallow, on each engine."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.web.service import WebService

ODD = ("\0", "\ud800", "\r\n", "\x1b[2J")
"""NUL, a lone surrogate, a line break, and what clears a terminal."""
IN_PATHS = ("%00", "%ED%A0%80", "%0d%0a", "%ff")
"""NUL, a surrogate, a line break, and what is no UTF-8."""


@pytest.fixture(autouse=True)
def _nothing_changes(service: WebService, api: httpx.Client) -> Iterator[None]:
    """Beside what each test starts from: a cluster."""
    assert api.put("/cluster/web").status_code == 201
    yield
    assert service.topics() == ["cluster.created"]
    assert not [line for line in service.log if line["event"] == "request.failed"]


def bodies(odd: str, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every known string of every body with the odd one in it, and the path to send it to."""
    text = f"a{odd}b"
    for field in ("network", "container_manager"):
        yield "/cluster/other", {field: text}
    for field in ("ssh_priv_key", "remote_user", "cluster", "source"):
        yield "/host/10.0.0.1", {"ssh_priv_key": key, field: text}
    yield "/host", {"ssh_priv_key": key, "remote_user": text}
    yield "/host/10.0.0.1/hostkey", {"fingerprint": f"SHA256:{odd}{'a' * 42}"}
    for members in ([text], [odd], ["10.0.0.1", text]):
        yield "/cluster/web/hosts", {"old": members, "new": []}
        yield "/cluster/web/hosts", {"old": [], "new": members}
    for what in ("/network/other", "/containermanager/other"):
        yield what, {"type": text}
        yield what, {"type": odd, "options": {odd: odd}}
    for option in ("prefix", "ca_path", "endpoints", text):
        yield "/network/other", {"options": {option: f"/{text}"}}
        yield "/network/other", {"options": {option: [f"http://{text}"]}}
    yield "/network/other", {"type": "flannel_server", "options": {"address": f"{text}:80"}}
    for option in ("token", "ca_path", "apiserver", text):
        options = {"server_url": "http://10.0.0.2", option: f"/{text}"}
        yield "/containermanager/other", {"options": options}
    yield "/containermanager/other", {"type": "trivial", "options": {text: {text: [text]}}}


def test_an_odd_character_in_any_string_of_a_body_is_400_and_never_shown_as_it_is(
    api: httpx.Client, key: str
) -> None:
    asked = [(odd, *one) for odd in ODD for one in bodies(odd, key)]
    for odd, path, body in asked:
        if "ssh_priv_key" in body and odd == "\r\n" and body["ssh_priv_key"] != key:
            continue  # base64 in lines is understood; what is in them is no key of anybody's
        answer = api.put(path, content=json.dumps(body))
        assert answer.status_code == 400, (path, body, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert odd not in "".join(_strings(answer.json())), (path, body)


def test_an_odd_character_under_a_key_that_nobody_knows_is_ignored_with_it(
    api: httpx.Client,
) -> None:
    for odd in ODD:
        body = {odd: odd, "type": f"a{odd}", "hosts": [odd], "status": {odd: [odd]}}
        # A lone surrogate is no character: what has one is no JSON.
        wanted = 400 if odd == "\ud800" else 201
        assert api.put("/cluster/web", content=json.dumps(body)).status_code == wanted


def test_an_odd_character_in_any_name_of_a_path_is_400_or_404(
    service: WebService, api: httpx.Client, key: str
) -> None:
    body = {"ssh_priv_key": key, "old": [], "new": [], "fingerprint": "SHA256:" + "a" * 43}
    for route in service.table:
        for segment in [s for s in route.path.split("/")[1:] if s.startswith("{")]:
            for text in [f"{name}{odd}" for name in ("", "web", "10.0.0.1") for odd in IN_PATHS]:
                path = route.path.replace(segment, text)
                path = path.replace("{name}", "web").replace("{address}", "10.0.0.1")
                sent = None if route.verb == "DELETE" else body
                answer = api.request(route.verb, f"{service.url}{path}", json=sent)
                # What can be no address is no member either, and deleting that succeeds.
                no_member = route.verb == "DELETE" and "{name}/hosts/" in route.path
                wanted = {200, 404} if no_member else {400, 404}
                assert answer.status_code in wanted, (route, path, answer.text)


def _strings(value: object) -> Iterator[str]:
    """All strings of a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for part in (*value, *value.values()):
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)
        case _:
            pass
