"""HTTP Basic alone, with users and a clock of the test's own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import bcrypt
import pytest

from domain.roles import Role
from web.authentication.authentication import (
    Account,
    Authentication,
    Forbidden,
    Identity,
    LogInsBusy,
    Scope,
    TooManyFailures,
    Unauthenticated,
)
from web.authentication.basic import BasicAuthentication
from web.authentication.password_queue import PasswordQueue

LOW_COST = 4
# For hashes that must still be under way when the test looks: about 0.15 s each.
SLOW_COST = 11
FAILURES_PER_MINUTE = 20
LIMIT_S = 60.0


@dataclass
class Clock:
    """A clock that stands still until it is told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class KnownUsers:
    """Users as they are in the file."""

    users: dict[str, Account] = field(default_factory=dict)


@dataclass
class Door:
    """All of authentication, as the service puts it together."""

    users: KnownUsers
    queue: PasswordQueue
    basic: BasicAuthentication
    clock: Clock

    async def ask(self, header: bytes | None, client: str = "192.0.2.1") -> Identity:
        return await Authentication(self.basic).authenticate(scope(header, client))

    async def answer(self, header: bytes | None, client: str = "192.0.2.1") -> str:
        try:
            return (await self.ask(header, client)).user
        except (Unauthenticated, Forbidden, TooManyFailures, LogInsBusy) as refused:
            return type(refused).__name__


def scope(header: bytes | None, client: str = "192.0.2.1") -> Scope:
    headers = [(b"host", b"commissaire"), (b"accept", b"*/*")]
    if header is not None:
        headers.append((b"authorization", header))
    return {"type": "http", "headers": headers, "client": (client, 50_000)}


def basic(user: str, password: str, scheme: str = "Basic") -> bytes:
    return f"{scheme} ".encode() + base64.b64encode(f"{user}:{password}".encode())


def account(password: str, role: Role = "admin", cost: int = LOW_COST) -> Account:
    return Account(bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)), role)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    clock = Clock()
    users = KnownUsers({"ada": account("secret"), "bob": account("p:w:d", "viewer")})
    queue = PasswordQueue(FAILURES_PER_MINUTE, threads=1, clock=clock)
    yield Door(users, queue, BasicAuthentication(users, queue, clock), clock)
    queue.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what changes has no event for tests
            await asyncio.sleep(0.001)
