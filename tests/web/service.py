"""The HTTP API with everything behind it, on a loop of its own beside the test."""

import asyncio
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar, cast

import asyncssh
import bcrypt
import httpx
import uvloop

from domain.aggregates.host_events import FactsGathered, FailureKind
from domain.commands import investigation
from domain.commands.credentials import Login
from domain.commands.investigation import Subject
from domain.event import Act, Recorded
from domain.log.engine import Engine
from domain.log.engines.postgres import PostgresEngine
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.follower import Follower, after
from domain.log.recorder import LogRecorder, head, now
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.accounts.register import AccountRegister
from projections.all import PROJECTIONS, beside_the_log
from projections.beside_the_log.webhook_deliveries import Attempt
from projections.past.past_reads import PastReads
from projections.reads import SQLiteReads, reads
from projections.rebuilding.live_tables import LiveTables
from projections.rebuilding.on_demand import Verifying
from runners.http_server.connection_pool import Fault
from runners.http_server.server import Limits as ServerLimits
from runners.http_server.server import Server
from runners.proof.notary import Notary
from runners.security.accounts import Accounts
from runners.security.private_keys import read_private_key
from runners.security.session_uses import SessionUses
from runners.security.users import UsersFile
from runners.security.vault import Vault
from tests.support.warm_start import CHEAP_BCRYPT
from web.app import LISTENERS_MAX, HostKeys, Options, Stores, application
from web.authentication.authentication import Account, Authentication
from web.authentication.basic import BasicAuthentication
from web.authentication.password_queue import PasswordQueue
from web.authentication.sessions import SessionAuthentication
from web.authentication.tokens import TokenAuthentication
from web.events.live_window import EventWindow
from web.http.clients import Clients
from web.http.requests import Limits
from web.known_answers import KnownAnswers
from web.request_log import RequestLog
from web.resources.accounts.account_book import AccountBook
from web.resources.credentials import Trust, TryLogin, nobody_can_try
from web.resources.webhooks import TryWebhook, nobody_can_send
from web.routing.route import Route

TIMEOUT_S = 60.0
FAILURES_PER_MINUTE = 5
KNOWN_BYTES_MAX = 1024 * 1024

T = TypeVar("T")


def new_key() -> bytes:
    """A private key that nobody else has."""
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key()


def base64_of(key: bytes) -> str:
    """A key as clients send it."""
    return b64encode(key).decode()


@dataclass
class Users:
    """Users as they are in the file; each has its name as its password."""

    users: dict[str, Account] = field(default_factory=dict)


class FileOfUsers:
    """The same as what a file that is named has, which may change at any time."""

    def __init__(self, known: Users) -> None:
        self._known = known

    @property
    def users(self) -> dict[str, Account]:
        """All of them, each time another object."""
        return dict(self._known.users)


def users() -> Users:
    """One user of each role."""
    known = Users()
    for role in ("viewer", "operator", "admin"):
        hashed = bcrypt.hashpw(role.encode(), bcrypt.gensalt(CHEAP_BCRYPT))
        known.users[role] = Account(hashed, role)
    return known


class WebService:
    """The API that listens; `log` has its lines, `events` what was committed."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits | None,
        server_limits: ServerLimits | None,
        clients: Clients | None,
        sources: Collection[str],
        listeners_max: int,
        second_look_s: float,
    ) -> None:
        self.second_look_s = second_look_s
        self.gates = {"alerts": ""}
        self.gate_filters = {"alerts": 'severity="page"'}
        """What the one gate of the settings says; "" is yes."""
        self.engine = engine
        self._listeners_max = listeners_max
        self.log: list[dict[str, object]] = []
        self.events: list[Recorded] = []
        self.users = users()
        self.faults: list[Fault] = []
        self.parse_key: Callable[[bytes], str] = lambda raw: read_private_key(raw).fingerprint
        self.try_login: TryLogin = nobody_can_try
        self.try_webhook: TryWebhook = nobody_can_send
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        models = LiveTables(PROJECTIONS)
        LogRecorder(engine).create_table()
        models.create_tables(engine)
        engine.execute_schema(beside_the_log(engine.name))
        self.vault = Vault(b"k" * 32)
        self.vault.open(engine)
        self.notary = Notary(self.vault)
        self.notary.open(engine)
        models.catch_up(engine)
        self.writer = Writer(engine, models, timeout_s=5, on_commit=self._note)
        self.writer.start()
        self._reads = reads(engine)
        with engine.snapshot() as tx:
            self.live = EventWindow(head(tx).position)
        self._follower = Follower(self.live.head, self._pull)
        self._past = PastReads(engine)
        self._verifying = Verifying(engine, PROJECTIONS)
        self._clients, self._sources = clients, sources
        self.run(self._start(limits, server_limits))
        self.port = self.server.port
        self.url = f"http://127.0.0.1:{self.port}"

    async def _ask(self, names: Collection[str]) -> dict[str, str]:
        return {name: self.gates[name] for name in names}

    async def _pull(self, position: int) -> list[Recorded]:
        return await self._reads.fresh(after, position)

    async def _start(self, limits: Limits | None, server_limits: ServerLimits | None) -> None:
        self._queue = PasswordQueue(FAILURES_PER_MINUTE)
        self._telling = asyncio.create_task(self.live.run(self._follower))
        authentication, log = self._authentication(), RequestLog(self._line)
        self.counts = log.counts
        self.known = known = self._known_answers(authentication, log)
        self.app = application(
            Stores(self.writer, self._reads, self._reads, self._past, self._verifying),
            HostKeys(self.vault, self._parse, self._try),
            authentication,
            log,
            Options(
                gates=self.gate_filters,
                ask_gates=self._ask,
                fleet_lock_from=(ip_network("127.0.0.0/8"),),
                clients=self._clients or Clients(),
                limits=limits or Limits(),
                sources=self._sources,
                window=self.live,
                listeners_max=self._listeners_max,
                second_look_s=self.second_look_s,
                try_webhook=self._try_webhook,
                sign=self.notary.sign,
            ),
            AccountBook(
                self.accounts, AccountRegister(), self.writer, self._queue, self._basic, now
            ),
            known=known,
        )
        self.table = [route for route in self.app.routes if isinstance(route, Route)]
        self.server = Server(
            self.app,
            "127.0.0.1",
            0,
            server_limits,
            on_fault=lambda fault, *_: self.faults.append(fault),
            known=known,
        )
        await self.server.start()

    def _known_answers(
        self, authentication: Authentication, log: RequestLog
    ) -> KnownAnswers | None:
        if not isinstance(self._reads, SQLiteReads):
            return None
        return KnownAnswers(
            self._reads,
            lambda: None,
            authentication,
            self._clients or Clients(),
            log,
            lambda: self.live.head,
            KNOWN_BYTES_MAX,
        )

    def _authentication(self) -> Authentication:
        file = cast(UsersFile, FileOfUsers(self.users))
        self.accounts = Accounts(self._reads, lambda: None, file, None)
        self._basic = BasicAuthentication(self.accounts, self._queue)
        tokens = TokenAuthentication(self.accounts)
        tokens.challenge = ""  # old clients are told of Basic alone here
        return Authentication(
            tokens,
            self._basic,
            SessionAuthentication(self.accounts, SessionUses(self._reads, self.writer)),
            directory=self.accounts,
        )

    def stop(self) -> None:
        """Stop everything."""
        self.run(self.live.stop(timeout_s=5))
        self.run(self.server.stop(timeout_s=5))
        self._loop.call_soon_threadsafe(self._telling.cancel)
        self._loop.call_soon_threadsafe(self._queue.close)
        self.writer.stop()
        self._loop.call_soon_threadsafe(self._reads.close)
        self._past.close()
        self._verifying.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def run(self, awaitable: Any) -> Any:
        """Run a coroutine on the service's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result(TIMEOUT_S)

    def client(self, user: str = "admin", **more: Any) -> httpx.Client:
        """A client that is this user."""
        return httpx.Client(
            base_url=f"{self.url}/api/v0", auth=(user, user), timeout=TIMEOUT_S, **more
        )

    def connect(self) -> socket.socket:
        """A connection, to say bytes on."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def perform(self, command: Callable[[Unit], T]) -> T:
        """Do what a runner does."""
        future = self.writer.submit(Act("runner:test", "test", now()), command)
        result: T = future.result(TIMEOUT_S)
        return result

    def settle(self, address: str, os: str = "fedora") -> None:
        """The host was looked at and is set up."""
        facts = FactsGathered(os, "40", 4, 11989228, 487652, "boot")
        self.perform(lambda unit: investigation.settle(unit, self._subject(unit, address), facts))

    def fail(self, address: str, reason: str, kind: FailureKind = "unreachable") -> None:
        """The host could not be looked at."""
        self.perform(
            lambda unit: investigation.fail(unit, self._subject(unit, address), kind, reason)
        )

    def topics(self) -> list[str]:
        """What has happened so far."""
        return [recorded.event.TOPIC for recorded in self.events]

    @staticmethod
    def _subject(unit: Unit, address: str) -> Subject:
        return Subject(address, unit.host(address).incarnation)

    def _parse(self, raw: bytes) -> str:
        return self.parse_key(raw)

    async def _try(self, login: Login, private_key: bytes, trust: Trust) -> None:
        await self.try_login(login, private_key, trust)

    async def _try_webhook(self, name: str) -> Attempt | None:
        return await self.try_webhook(name)

    def _note(self, previous: int, recorded: Sequence[Recorded]) -> None:
        self.events += recorded
        self._loop.call_soon_threadsafe(self._follower.push, previous, recorded)

    def _line(self, event: str, /, level: str = "info", **fields: object) -> None:
        self.log.append({"event": event, "level": level, **fields})


@contextmanager
def serving(
    directory: Path,
    database_url: str = "sqlite",
    limits: Limits | None = None,
    server_limits: ServerLimits | None = None,
    clients: Clients | None = None,
    sources: Collection[str] = (),
    listeners_max: int = LISTENERS_MAX,
    second_look_s: float = 0.0,
) -> Iterator[WebService]:
    """The service, for as long as a test needs it."""
    engine: Engine = (
        PostgresEngine(database_url)
        if database_url.startswith("postgresql")
        else SQLiteEngine(directory / "commissaire.db")
    )
    service = WebService(
        engine, limits, server_limits, clients, sources, listeners_max, second_look_s
    )
    try:
        yield service
    finally:
        service.stop()
        engine.close()


def raw_answers(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received
