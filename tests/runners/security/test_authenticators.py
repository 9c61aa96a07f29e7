"""A kind of credentials that a package adds: the documented one works, broken ones do not start."""

import hmac
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import httpx
import pytest

from domain.log.writer import Writer
from projections.reads import Reads
from runners.os_support.log_lines import ServiceLog
from runners.security import authenticators
from runners.security.accounts import Accounts
from runners.security.authenticators import Bounded, WrongAuthenticator, authentication
from runners.security.local_login import LocalLogin
from runners.security.session_uses import SessionUses
from runners.security.users import UsersFile
from runners.settings.reading import read_settings
from tests.end_to_end.test_serve import serve
from tests.support.service import Service
from web.authentication.authentication import (
    NO_PASSWORD,
    Authentication,
    Forbidden,
    Identity,
    Scope,
)
from web.authentication.basic import BasicAuthentication
from web.authentication.password_queue import PasswordQueue

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "access.md").read_text()
LIMIT_S = 60.0
KEY = "a key that both have"
ENDS_WITHIN_S = 2.0
ADA = Identity("ada", "admin")


def block(language: str, marker: str) -> str:
    """The one example of the document that has this text in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    (found,) = [text for text in blocks if marker in text]
    return str(found)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the documented plugin in it, as pip leaves a package; services see it."""
    folder = tmp_path / "site"
    information = folder / "ticket_login-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "ticket_login.py").write_text(block("python", "class Tickets"))
    (folder / "broken_login.py").write_text(
        "class Half:\n    challenge = None\n    def remembered(self, scope): ...\n\n"
        "def half(users, environ):\n    return Half()\n\n"
        "def failing(users, environ):\n    raise RuntimeError('hidden-word')\n\n"
        "class Failing(Half):\n    def remembered(self, scope):\n"
        "        return ('admin', 'root') if b'x-odd' in dict(scope['headers']) else None\n"
        "    async def identify(self, scope):\n        raise RuntimeError('hidden-word')\n\n"
        "def odd(users, environ):\n    return Failing()\n\n"
        "import asyncio\n\nclass Hanging(Half):\n    async def identify(self, scope):\n"
        "        await asyncio.Event().wait()\n\n"
        "def hanging(users, environ):\n    return Hanging()\n"
    )
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: ticket-login\nVersion: 1.0\n"
    )
    group, _, points = block("toml", "project.entry-points").partition("\n")
    named = re.fullmatch(r'\[project\.entry-points\."(.+)"\]', group)
    assert named
    (information / "entry_points.txt").write_text(
        f"[{named[1]}]\n{points.replace(chr(34), '')}"
        "half = broken_login:half\nfailing = broken_login:failing\nodd = broken_login:odd\n"
        "hanging = broken_login:hanging\n"
        "missing = no_such_module:x\n"
    )
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def service(site: Path, tmp_path: Path) -> Iterator[Service]:
    """A service that takes tickets."""
    flags = ("--authenticator", "ticket")
    service = Service(tmp_path / "service", None, *flags, TICKET_KEY=KEY)
    UsersFile(service.data / "users.json").add("robot", NO_PASSWORD, "operator")
    with service:
        yield service


def nobody() -> Accounts:
    """No accounts at all."""
    return Accounts(cast(Reads, None), lambda: None, None, None)


def ticket(name: str, end: float, key: str = KEY) -> dict[str, str]:
    """A header."""
    signed = f"{name}:{int(end)}"
    signature = hmac.new(key.encode(), signed.encode(), "sha256").hexdigest()
    return {"Authorization": f"Ticket {signed}:{signature}"}


def test_the_documented_kind_logs_in_beside_the_others(service: Service) -> None:
    later = time.time() + 60
    hosts, cluster = f"{service.url}/api/v0/hosts", f"{service.url}/api/v0/cluster/web"
    challenges = httpx.get(hosts).headers.get_list("WWW-Authenticate")
    realm = 'realm="commissaire"'
    assert challenges == [f"Bearer {realm}", f"Basic {realm}", f"Ticket {realm}"]
    assert httpx.get(hosts, headers=ticket("viewer", later)).status_code == 200
    assert httpx.put(cluster, headers=ticket("viewer", later)).status_code == 403
    assert httpx.put(cluster, headers=ticket("robot", later)).status_code == 201
    assert service.client.get("/hosts").status_code == 200
    wrong = [
        ticket("viewer", time.time() - 1),
        ticket("viewer", later, "another key"),
        ticket("nobody", later),
        {"Authorization": "Ticket"},
        {"Authorization": "Ticket a:b:c"},
    ]
    for headers in wrong:
        answer = httpx.get(hosts, headers=headers)
        assert (answer.status_code, "ticket" in answer.json()["detail"]) == (403, True)
    assert '"actor":"robot"' in service.read_log().replace(": ", ":")


def test_a_stream_ends_with_the_ticket_that_opened_it(service: Service) -> None:
    stream, end = f"{service.url}/api/v0/events/stream", time.time() + 3
    with httpx.stream("GET", stream, headers=ticket("viewer", end), timeout=LIMIT_S) as answer:
        assert answer.status_code == 200
        for _ in answer.iter_lines():
            pass
    assert -1 < time.time() - end < ENDS_WITHIN_S


class Directory:
    """A kind that asks somebody else each time, and remembers nobody."""

    challenge = None

    def __init__(self) -> None:
        self.asked = 0
        self.answers: dict[int, Identity | Exception] = {}

    def remembered(self, scope: Scope) -> Identity | None:
        return None

    async def identify(self, scope: Scope) -> Identity | None:
        self.asked += 1
        answer = self.answers.get(self.asked, ADA)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_who_is_not_remembered_is_identified_again_every_so_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory = Directory()
    door = Authentication(Bounded("directory", directory, 1.0))
    scope: Scope = {"type": "http", "headers": []}
    assert await door.authenticate(scope) == ADA
    for _ in range(3):
        assert await door.renew(scope) == ADA
    assert directory.asked == 1
    monkeypatch.setattr(authenticators, "ASK_AGAIN_S", 0.0)
    viewer = ADA._replace(role="viewer")
    directory.answers = {2: RuntimeError(), 3: viewer, 4: Forbidden()}
    assert [await door.renew(scope) for _ in range(3)] == [ADA, viewer, None]


def test_what_a_plugin_does_wrong_lets_nobody_in(site: Path, tmp_path: Path) -> None:
    with Service(tmp_path / "service", None, "--authenticator", "odd") as service:
        assert service.client.get("/hosts").status_code == 200
        for headers in ({}, {"X-Odd": "1"}):
            answer = httpx.get(f"{service.url}/api/v0/hosts", headers=headers)
            assert answer.status_code == 500
            assert "hidden-word" not in answer.text + service.read_log()


@pytest.mark.usefixtures("site")
def test_one_that_never_answers_keeps_nobody_waiting_for_ever(tmp_path: Path) -> None:
    flags = ("--authenticator", "hanging", "--authenticator-timeout-s", "0.3")
    with Service(tmp_path / "service", None, *flags) as service:
        assert service.client.get("/hosts").status_code == 200
        stranger = httpx.get(f"{service.url}/api/v0/hosts", timeout=LIMIT_S)
        assert stranger.status_code == 503
        assert "Logging in by hanging takes longer than 0.3 s" in stranger.json()["detail"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kerberos", "not installed (failing, half, hanging, missing, odd, ticket is)"),
        ("ticket", "TICKET_KEY is not set"),
        ("half", "broken_login:half gives no authenticator (docs/access.md)"),
        ("failing", "broken_login:failing does not start (RuntimeError)"),
        ("missing", "no_such_module:x does not start (ModuleNotFoundError)"),
    ],
)
@pytest.mark.usefixtures("site")
def test_one_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, name: str, words: str
) -> None:
    settings = read_settings({"data": str(tmp_path)}, {"COMMISSAIRE_AUTHENTICATOR": name})
    with (
        (tmp_path / "log").open("w") as log,
        closing(ServiceLog(log.fileno())) as lines,
        closing(PasswordQueue(1)) as queue,
    ):
        accounts = nobody()
        basic, local = BasicAuthentication(accounts, queue), LocalLogin(settings, lines)
        uses = SessionUses(cast(Reads, None), cast(Writer, None))
        with pytest.raises(WrongAuthenticator) as wrong:
            authentication(settings, accounts, basic, uses, lines, {}, local)
    assert str(wrong.value) == f"--authenticator {name}: {words}"
    assert "hidden-word" not in (tmp_path / "log").read_text()


def test_serve_does_not_start_without_one_that_the_settings_name(tmp_path: Path) -> None:
    refused = serve("--port", "0", "--authenticator", "kerberos", data=tmp_path / "data")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        "commissaire: --authenticator kerberos: not installed (none is)"
    )
