"""A host's credentials and its pinned host key: for administrators, and each use is an event."""

import base64
from collections.abc import Awaitable, Callable
from typing import Protocol

from domain.aggregates.host import Host
from domain.commands import credentials, fleet_commands, investigation
from domain.commands.credentials import Login, Wanted
from domain.commands.investigation import Subject
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import conflict, unavailable
from web.http.replies import Reply, created, deleted, digested, json_body
from web.http.requests import Request
from web.resources.offered_keys import ParseKey, offered
from web.schemas import bodies
from web.schemas.path_names import known_address


class Secrets(fleet_commands.Secrets, Protocol):
    """Where private keys are kept, also for those who may read them."""

    def reveal(self, tx: Transaction, subject: str, reader: str) -> bytes:
        """The secret that is kept for a subject; who reads it is noted."""
        ...


Trust = Callable[[str, str], Awaitable[None]]
"""Asked with algorithm and fingerprint of a host key that is seen first, before anything is sent
to the host. Returns where it is trusted from now on; what it raises ends the try."""


class TryLogin(Protocol):
    """Finds out whether credentials let us work on a host."""

    async def __call__(self, login: Login, private_key: bytes, trust: Trust) -> None:
        """Raises a `Refusal` that says what failed; nothing is changed on the host."""
        ...


async def nobody_can_try(login: Login, private_key: bytes, trust: Trust) -> None:
    """Refuse: this service cannot reach its hosts."""
    raise unavailable('Credentials cannot be tried here: send "unchecked": true to have them kept.')


class Credentials:
    """The handlers of `/host/{address}/creds` and `/host/{address}/hostkey`."""

    def __init__(
        self, writer: Writer, secrets: Secrets, parse_key: ParseKey, try_login: TryLogin
    ) -> None:
        self._writer = writer
        self._secrets = secrets
        self._parse_key = parse_key
        self._try_login = try_login

    async def show(self, request: Request) -> Reply:
        """The private key and the account that it is for; that it was told is in the log."""
        address = known_address(request)

        def read(unit: Unit) -> bytes:
            host = unit.host(address)
            host.read_credentials()
            key = self._secrets.reveal(unit.tx, host.id, request.identity.user)
            return json_body(
                {
                    "ssh_priv_key": base64.b64encode(key).decode(),
                    "remote_user": host.registration.remote_user,
                }
            )

        return Reply(await self._writer.perform(request.act(), read))

    async def rotate(self, request: Request) -> Reply:
        """Replace the credentials by others, which are tried on the host first."""
        address = known_address(request)
        body = await bodies.read(request, bodies.CredentialsBody)
        key = await offered(request, body.ssh_priv_key, self._parse_key, now=True)
        fingerprint = key.parse(key.raw)
        wanted = Wanted(key, body.remote_user, body.ssh_port)
        tried = None if body.unchecked else await self._tried(request, address, wanted)
        kept = await self._writer.perform(
            request.act(),
            lambda unit: credentials.rotate(unit, self._secrets, address, wanted, tried),
        )
        return created(
            json_body(
                {
                    "fingerprint": fingerprint,
                    "remote_user": kept.remote_user,
                    "ssh_port": kept.ssh_port,
                }
            )
        )

    async def _tried(self, request: Request, address: str, wanted: Wanted) -> Login:
        """Try the credentials on the host; what was tried is what is recorded."""
        login: Login = await self._writer.perform(
            request.act(),
            lambda unit: credentials.login(unit, self._secrets, address, wanted),
        )
        subject = Subject(address, login.incarnation)

        async def trust(algorithm: str, fingerprint: str) -> None:
            nonlocal login
            login = login.trusting(algorithm, fingerprint)
            if not await self._writer.perform(
                request.act(),
                lambda unit: investigation.pin_key(unit, subject, algorithm, fingerprint),
            ):
                raise conflict(
                    f"{address} was changed while the credentials were tried: nothing was sent to"
                    " it. Send them again."
                )

        if not login.in_use:
            await self._try_login(login, wanted.key.raw, trust)
        return login

    async def show_host_key(self, request: Request) -> Reply:
        """The pinned host key, and the one that was shown and refused."""
        address = known_address(request)

        def read(unit: Unit) -> bytes:
            host = unit.host(address)
            host.must_have_key()
            return _host_keys(host)

        return digested(request, await self._writer.perform(request.act(), read))

    async def approve_host_key(self, request: Request) -> Reply:
        """Approve the host key with this fingerprint."""
        address = known_address(request)
        wanted = await bodies.read(request, bodies.HostKeyBody)

        def approve(unit: Unit) -> bytes:
            host = unit.host(address)
            host.approve_key(wanted.fingerprint)
            return _host_keys(host)

        return created(await self._writer.perform(request.act(), approve))

    async def forget_host_key(self, request: Request) -> Reply:
        """Forget the pinned host key: the next contact pins another."""
        address = known_address(request)
        await self._writer.perform(request.act(), lambda unit: unit.host(address).forget_key())
        return deleted()


def _host_keys(host: Host) -> bytes:
    return json_body({"fingerprint": host.pinned or None, "refused": host.refused or None})
