"""The accounts of a service that starts: taken over from files of an older version, or made.

`users.json` and `tokens.json` of the data directory are taken over once, as events, and then have
another name. Until that was done, which takes read models that are whole, they count as they are.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from domain.commands import account_commands
from domain.commands.account_commands import KeptToken, KeptUser
from domain.event import TIME_FORMAT, Act
from domain.log.engine import Stopped
from domain.log.recorder import now
from domain.log.unit import Unit
from domain.refusal import Refusal
from domain.roles import Standing
from projections.accounts import projection
from projections.accounts.register import AccountRegister
from projections.rebuilding.live_tables import BeingBuilt
from runners.os_support.json_file import BrokenFile
from runners.os_support.log_lines import ServiceLog
from runners.security.accounts import Accounts
from runners.security.tokens import TokensFile
from runners.security.users import UsersFile, hash_password, users_file
from runners.service.prerequisites import EXIT_WRONG_SETTING, CannotServe
from runners.service.storage import Storage
from runners.settings.settings import Settings

ACTOR = "runner:accounts"
ADMIN = "admin"
ADMIN_PASSWORD_BYTES = 18
TAKEN_OVER = ".taken-over"
"""What is put behind the name of a file whose accounts are in the database."""
AGAIN_AFTER_S = 1.0
REGISTER = AccountRegister()

T = TypeVar("T")


async def open_accounts(
    settings: Settings, storage: Storage, lines: ServiceLog
) -> "tuple[Accounts, FirstStart | None]":
    """The accounts, and what is still to be done once read models are whole. Raises CannotServe."""
    accounts = _accounts(settings, storage, lines)
    first_start = FirstStart(settings, storage, accounts, lines)
    return accounts, None if await first_start.done() else first_start


def _accounts(settings: Settings, storage: Storage, lines: ServiceLog) -> Accounts:
    """The accounts of the database, and of files. Raises CannotServe for a file that is wrong."""
    if settings.users is not None and not settings.users_file.exists():
        sentence = f"--users {settings.users}: there is no such file (`commissaire user add`)"
        raise CannotServe(sentence, EXIT_WRONG_SETTING)
    users = users_file(settings, _report(lines, "users_file.broken"))
    tokens = TokensFile(settings.tokens_file, _report(lines, "tokens_file.broken"))
    return Accounts(
        storage.log_reads,
        lambda: _being_built(storage),
        users if settings.users is not None or users.path.exists() else None,
        tokens if settings.tokens is not None or tokens.path.exists() else None,
    )


def _being_built(storage: Storage) -> Stopped | None:
    """Why there are no tables of accounts yet.

    Where one stopped at an event of a newer version, processes of that version keep them right.
    """
    stopped = storage.live_tables.stopped.get(projection.NAME)
    return stopped if isinstance(stopped, BeingBuilt) else None


def _report(lines: ServiceLog, event: str) -> Callable[[BrokenFile], None]:
    return lambda broken: lines.write(event, level="error", reason=str(broken))


class FirstStart:
    """Takes over what files have, and makes an administrator where there is nobody."""

    def __init__(
        self, settings: Settings, storage: Storage, accounts: Accounts, lines: ServiceLog
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._accounts = accounts
        self._lines = lines

    async def done(self) -> bool:
        """Do it, unless read models have to be made first. Raises CannotServe."""
        if self._storage.live_tables.stopped:
            return False
        try:
            await self._take_over()
            await self._make_admin()
        except Refusal as refusal:
            if self._storage.live_tables.stopped:
                return False
            raise CannotServe(f"the accounts cannot be kept: {refusal.sentence}") from None
        return True

    async def run(self) -> None:
        """Do it as soon as read models are whole."""
        while True:
            with suppress(CannotServe):  # the database is away: it comes back
                if await self.done():
                    return
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _take_over(self) -> None:
        accounts, settings = self._accounts, self._settings
        users_file = accounts.users_file if settings.users is None else None
        tokens_file = accounts.tokens_file if settings.tokens is None else None
        if users_file is None and tokens_file is None:
            return
        try:
            users = _users(users_file) if users_file is not None else {}
            tokens = _tokens(tokens_file) if tokens_file is not None else {}
        except BrokenFile as broken:
            raise CannotServe(str(broken), EXIT_WRONG_SETTING) from None
        known = await self._perform(
            lambda unit: account_commands.take_over(unit, REGISTER, users, tokens)
        )
        for subject in known:
            self._lines.write("account.known_already", level="warning", subject=subject)
        if users_file is not None:
            accounts.users_file = None
            self._set_aside(users_file.path)
        if tokens_file is not None:
            accounts.tokens_file = None
            self._set_aside(tokens_file.path)

    def _set_aside(self, file: Path) -> None:
        try:
            file.rename(file.with_name(file.name + TAKEN_OVER))
        except OSError as error:
            # At the next start all of its names are known, and nothing comes of it.
            reason = error.strerror or ""
            self._lines.write("file.stays", level="warning", file=str(file), reason=reason)
        else:
            self._lines.write("file.taken_over", file=str(file))

    async def _make_admin(self) -> None:
        if self._settings.users is not None:
            return
        await self._accounts.refresh()
        if self._accounts.users:
            return
        password = secrets.token_urlsafe(ADMIN_PASSWORD_BYTES)
        hashed = await asyncio.to_thread(hash_password, password)
        command = partial(
            account_commands.add_first_admin, register=REGISTER, name=ADMIN, hashed=hashed
        )
        if await self._perform(command):  # else another process was first
            print(f"The password of {ADMIN}, shown only now: {password}", flush=True)

    async def _perform(self, command: Callable[[Unit], T]) -> T:
        act = Act(ACTOR, f"accounts-{secrets.token_hex(6)}", now())
        result: T = await self._storage.writer.perform(act, command)
        return result


def _users(file: UsersFile) -> dict[str, KeptUser]:
    return {
        name: KeptUser(Standing(account.role), account.hash)
        for name, account in file.read().items()
    }


def _tokens(file: TokensFile) -> dict[str, KeptToken]:
    return {
        name: KeptToken(
            Standing(known.role),
            known.hash,
            known.created.strftime(TIME_FORMAT),
            known.expires.strftime(TIME_FORMAT) if known.expires else "",
        )
        for name, known in file.read().items()
    }
