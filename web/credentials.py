"""A host's credentials and its pinned host key: for administrators, and each use is an event."""

import base64
from typing import Protocol

from domain import fleet
from domain.host import Host
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from web import bodies
from web.names import known_address
from web.replies import Reply, created, deleted, digested, json_body
from web.requests import Request


class Secrets(fleet.Secrets, Protocol):
    """Where private keys are kept, also for those who may read them."""

    def reveal(self, tx: Transaction, subject: str, reader: str) -> bytes:
        """The secret that is kept for a subject; who reads it is noted."""
        ...


class Credentials:
    """The handlers of `/host/{address}/creds` and `/host/{address}/hostkey`."""

    def __init__(self, writer: Writer, secrets: Secrets) -> None:
        self._writer = writer
        self._secrets = secrets

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

    async def show_host_key(self, request: Request) -> Reply:
        """The pinned host key, and the one that was shown and refused."""
        address = known_address(request)

        def read(unit: Unit) -> bytes:
            host = unit.host(address)
            host.must_exist()
            return _host_keys(host)

        return digested(request, await self._writer.perform(request.act(), read))

    async def approve_host_key(self, request: Request) -> Reply:
        """Vouch for a host key."""
        address = known_address(request)
        wanted = await bodies.read(request, bodies.HostKeyBody)

        def approve(unit: Unit) -> bytes:
            host = unit.host(address)
            host.approve_key(wanted.fingerprint)
            return _host_keys(host)

        return created(await self._writer.perform(request.act(), approve))

    async def forget_host_key(self, request: Request) -> Reply:
        """Let the next contact pin anew."""
        address = known_address(request)
        await self._writer.perform(request.act(), lambda unit: unit.host(address).forget_key())
        return deleted()


def _host_keys(host: Host) -> bytes:
    return json_body({"fingerprint": host.pinned or None, "refused": host.refused or None})
