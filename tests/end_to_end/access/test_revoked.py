"""Whoever loses their credentials loses what they opened with them, in every process."""

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from runners.security.tokens import TokensFile
from runners.security.users import UsersFile
from tests.end_to_end.processes.several import several
from tests.support.service import Service, wait_for

ENDS_WITHIN_S = 2.0
LIMIT_S = 60.0
STREAM = "/api/v0/events/stream"

Lose = Callable[..., None]


class Listening:
    """A stream that is read until it ends."""

    def __init__(
        self, service: Service, authorization: str, instead: dict[str, str] | None = None
    ) -> None:
        self.ended_at = 0.0
        self.text = ""
        self._opened = threading.Event()
        self._url = f"{service.url}{STREAM}"
        self._headers = instead or {"Authorization": authorization}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._opened.wait(LIMIT_S)

    def _run(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=LIMIT_S) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                self._opened.set()
                self.text += line
        self.ended_at = time.monotonic()

    def join(self, limit_s: float) -> bool:
        """Whether it has ended within the limit."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()


def basic(service: Service, user: str) -> str:
    return f"Basic {b64encode(f'{user}:{service.password}'.encode()).decode()}"


def where(service: Service, *, named: bool) -> list[str]:
    """Where the users are."""
    return ["--users", str(service.data / "users.json")] if named else []


def remove(service: Service, *, named: bool) -> None:
    service.tool("user", "remove", "operator", *where(service, named=named))


def demote(service: Service, *, named: bool) -> None:
    change(service, named, "viewer", service.password)


def change_password(service: Service, *, named: bool) -> None:
    change(service, named, "operator", "another")


def change(service: Service, named: bool, role: str, password: str) -> None:
    command = ["user", "add", "operator", "--role", role, "--replace", "--password-stdin"]
    service.tool(*command, *where(service, named=named), stdin=password.encode())


@pytest.mark.parametrize("named", [True, False], ids=["of a file", "of the database"])
@pytest.mark.parametrize("lose", [remove, demote, change_password])
def test_a_stream_of_a_user_who_loses_what_let_them_in_ends(
    tmp_path: Path, lose: Lose, named: bool
) -> None:
    with Service(tmp_path, named=named) as service:
        theirs = Listening(service, basic(service, "operator"))
        others = Listening(service, basic(service, "viewer"))
        lose(service, named=named)
        assert theirs.join(ENDS_WITHIN_S)
        assert service.client.put("/cluster/web").status_code == 201
        wait_for(lambda: "cluster.created" in others.text)
        assert "cluster.created" not in theirs.text
        assert not others.join(0)


def test_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        token = service.tool("token", "create", "ci", "--role", "viewer")
        stays = Listening(
            service, f"Bearer {service.tool('token', 'create', 'other', '--role', 'viewer')}"
        )
        listening = Listening(service, f"Bearer {token}")
        service.tool("token", "revoke", "ci")
        assert listening.join(ENDS_WITHIN_S)
        assert not stays.join(0)


def test_in_every_process_a_stream_ends_whether_files_are_shared_or_copied(
    tmp_path: Path, postgres_url: str
) -> None:
    tokens = tmp_path / "tokens.json"
    with several(2, tmp_path, [postgres_url] * 2, "--tokens", str(tokens)) as both:
        now = datetime.now(UTC)
        token = TokensFile(tokens).create("ci", "viewer", now, None)
        listening = [Listening(service, f"Bearer {token}") for service in both]
        listening += [Listening(service, basic(service, "operator")) for service in both]
        TokensFile(tokens).revoke("ci")
        for service in both:
            UsersFile(service.data / "users.json").remove("operator")
        begun = time.monotonic()
        assert all(one.join(LIMIT_S) for one in listening)
        assert max(one.ended_at for one in listening) - begun < ENDS_WITHIN_S


def test_in_every_process_what_was_taken_back_is_refused_with_the_next_request(
    tmp_path: Path, postgres_url: str
) -> None:
    with several(2, tmp_path, [postgres_url] * 2, "--users", str(nobody(tmp_path))) as (one, two):
        one.tool("user", "add", "ada", *NAMELESS, stdin=b"secret")
        ada = [httpx.Client(base_url=f"{s.url}/api/v0", auth=("ada", "secret")) for s in (one, two)]
        for number in range(10):
            token = one.tool("token", "create", f"t{number}", "--role", "viewer")
            bearer = {"Authorization": f"Bearer {token}"}
            for service in (one, two):
                url = f"{service.url}/api/v0/hosts"
                assert httpx.get(url, headers=bearer).status_code == 200
            one.tool("token", "revoke", f"t{number}")
            for service in (two, one):
                url = f"{service.url}/api/v0/hosts"
                assert httpx.get(url, headers=bearer).status_code == 403
        assert [client.get("/hosts").status_code for client in ada] == [200, 200]
        two.tool("user", "remove", "ada")
        assert [client.get("/hosts").status_code for client in ada] == [403, 403]
        for client in ada:
            client.close()


def test_a_session_counts_and_ends_in_every_process_and_so_does_its_stream(
    tmp_path: Path, postgres_url: str
) -> None:
    with several(2, tmp_path, [postgres_url] * 2, "--users", str(nobody(tmp_path))) as (one, two):
        one.tool("user", "add", "ada", *NAMELESS, stdin=b"secret")
        body = {"user": "ada", "password": "secret"}
        opened = httpx.post(f"{one.url}/api/v0/sessions", json=body, timeout=LIMIT_S)
        secret = opened.cookies["commissaire"]
        cookie = {"Cookie": f"commissaire={secret}"}
        for service in (two, one):
            assert httpx.get(f"{service.url}/api/v0/me", headers=cookie).json()["name"] == "ada"
        stream = Listening(two, "", cookie)
        csrf = {"X-CSRF-Token": opened.json()["csrf_token"], "Origin": one.url}
        ended = httpx.delete(
            f"{one.url}/api/v0/session/{opened.json()['id']}", headers=cookie | csrf
        )
        assert ended.status_code == 200
        for service in (two, one):
            refused = httpx.get(f"{service.url}/api/v0/me", headers=cookie)
            assert refused.json()["type"] == "urn:commissaire:problem:session-ended"
        assert stream.join(LIMIT_S)


NAMELESS = ("--role", "viewer", "--password-stdin")


def nobody(directory: Path) -> Path:
    """A users file in which there is nobody."""
    file = directory / "nobody.json"
    file.write_text("{}")
    return file


def test_a_body_that_is_on_its_way_when_its_sender_loses_their_credentials_changes_nothing(
    tmp_path: Path,
) -> None:
    with Service(tmp_path) as service:
        statuses = [slow_put(service, lose, name) for lose, name in ((None, "a"), (remove, "b"))]
        assert statuses == [201, 403]
        assert service.client.get("/clusters").json() == ["a"]


def slow_put(service: Service, lose: Lose | None, name: str) -> int:
    """The status of a PUT whose body ends after more than a second."""
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port), timeout=LIMIT_S) as connection:
        connection.sendall(
            f"PUT /api/v0/cluster/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
            f"Authorization: {basic(service, 'operator')}\r\n\r\n{{".encode()
        )
        begun = time.monotonic()
        if lose is not None:
            lose(service, named=True)
        wait_for(lambda: time.monotonic() - begun > 1.5 or None)
        connection.sendall(b"}")
        return int(connection.recv(4096).split()[1])
