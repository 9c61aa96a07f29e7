"""What has to be right before the service starts: directory, files and keys, or why it cannot."""

import asyncio
import os
from contextlib import AsyncExitStack

from starlette.types import ASGIApp

from runners.bootstrapping.step_files import Lists, WrongSteps, read_lists
from runners.gates.gate_options import WrongGate, configured
from runners.gates.gates import Gates
from runners.http_server.configured_server import ConfiguredServer, tls_of
from runners.http_server.connection_pool import KnownAnswers
from runners.http_server.server import CannotListen
from runners.http_server.tls import Tls, WrongTls
from runners.os_support.directory_lock import CHECK_EVERY_S, DataDirectoryTaken, DataLock
from runners.os_support.log_lines import ServiceLog
from runners.security import authenticators
from runners.security.accounts import Accounts
from runners.security.local_login import LocalLogin
from runners.security.session_uses import SessionUses
from runners.security.vault import Vault, WrongMasterKey, master_key
from runners.settings.settings import Settings
from runners.sources.plugins import ConfiguredSource, WrongSource, open_sources
from web.authentication.authentication import Authentication
from web.authentication.basic import BasicAuthentication

DATA_MODE = 0o700

EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2
EXIT_OTHER_LOG = 3
"""The log is not the one that was served before: starting again does not help."""


class CannotServe(Exception):
    """Why the service does not start, in one line, and the exit status for it."""

    def __init__(self, sentence: str, status: int = EXIT_FAILED) -> None:
        super().__init__(sentence)
        self.status = status


def hold_data_directory(settings: Settings, stack: AsyncExitStack) -> DataLock | None:
    """Make the data directory, and keep other processes from serving it until the stack ends.

    None with a PostgreSQL database, which may be served by several processes.
    """
    try:
        settings.data.mkdir(mode=DATA_MODE, parents=True, exist_ok=True)
        if settings.database is not None:
            return None
        return stack.enter_context(DataLock(settings.data, settings.database_file))
    except DataDirectoryTaken as taken:
        raise CannotServe(str(taken)) from None
    except OSError as error:
        what = error.filename or settings.data
        raise CannotServe(f"--data {what}: {error.strerror}", EXIT_WRONG_SETTING) from None


async def keep_data_directory(lock: DataLock, lines: ServiceLog) -> None:
    """See to it, for ever, that the lock is still ours. Raises `CannotServe` where it is not."""
    times = 0
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        before = lock.unchecked
        try:
            if lock.check() or times:
                lines.write("data_lock.taken_back", level="warning", unchecked=times)
            times = 0
        except DataDirectoryTaken as taken:
            raise CannotServe(f"its lock file was deleted, and now {taken}") from None
        except OSError:
            times += 1
            if lock.unchecked != before:
                lines.write("data_lock.unchecked", level="error", reason=lock.unchecked)


def configured_sources(settings: Settings) -> list[ConfiguredSource]:
    """The inventories that may own hosts."""
    try:
        return open_sources(settings.sources, os.environ)
    except WrongSource as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None


def step_files(settings: Settings) -> Lists | None:
    """What is installed on hosts whose network asks for it; None where nothing ever is."""
    try:
        return read_lists(settings.bootstrap)
    except WrongSteps as wrong:
        raise CannotServe(
            f"--bootstrap {settings.bootstrap}: {wrong}", EXIT_WRONG_SETTING
        ) from None


def open_vault(settings: Settings, lines: ServiceLog) -> Vault:
    """The vault under its master key, which is made where there is no database yet."""
    given = settings.master_key.get_secret_value() if settings.master_key else None
    file = settings.vault_key_file
    # A new key would open nothing, and stand where the right one is to be put.
    if given is None and _has_sqlite_database(settings) and not file.exists():
        sentence = f"the master key {file} is missing, and {settings.database_file} needs its own"
        raise CannotServe(f"{sentence}: put it back from its copy", EXIT_WRONG_SETTING)
    try:
        key = master_key(given, file)
    except WrongMasterKey as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None
    return Vault(
        key, lambda subject, reader: lines.write("secret_read", subject=subject, by=reader)
    )


def _has_sqlite_database(settings: Settings) -> bool:
    return settings.database is None and settings.database_file.exists()


def authentication_of(
    settings: Settings,
    accounts: Accounts,
    basic: BasicAuthentication,
    uses: SessionUses,
    lines: ServiceLog,
    local: LocalLogin,
) -> Authentication:
    """Every kind of credentials that the settings turn on."""
    try:
        return authenticators.authentication(
            settings, accounts, basic, uses, lines, os.environ, local
        )
    except authenticators.WrongAuthenticator as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None


def gates_of(settings: Settings, stack: AsyncExitStack) -> Gates:
    """The gates that the settings name."""
    try:
        gates = Gates(configured(settings.gate, settings.gates))
    except WrongGate as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None
    stack.push_async_callback(gates.close)
    return gates


def tls_files(settings: Settings) -> Tls | None:
    """The certificate and keys to serve HTTPS with; None for HTTP."""
    try:
        return tls_of(settings)
    except WrongTls as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None


async def listen(
    settings: Settings,
    app: ASGIApp,
    tls: Tls | None,
    lines: ServiceLog,
    known: KnownAnswers | None,
) -> ConfiguredServer:
    """Take connections, from now on."""
    configured = ConfiguredServer(settings, app, tls, lines, known)
    try:
        await configured.start()
    except CannotListen as error:
        raise CannotServe(str(error)) from None
    return configured
