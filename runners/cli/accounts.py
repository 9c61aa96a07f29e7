"""The accounts of a database, for commands: also beside a service that runs."""

import getpass
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer

from runners.database.existing import DatabaseRefused, NoDatabase, existing_database
from runners.os_support.json_file import ChangeRefused
from runners.settings.reading import settings_of
from runners.settings.settings import Settings

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.engine import Engine
    from domain.log.unit import Unit
    from projections.accounts.queries import Everybody
    from projections.accounts.register import AccountRegister

TIMEOUT_S = 10.0
"""How long a change waits for its turn."""

T = TypeVar("T")


class AccountsOfDatabase:
    """Reads and changes them as the service does, in transactions of its own."""

    def __init__(self, engine: "Engine", where: str, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self.where = where

    def everybody(self) -> "Everybody":
        """All accounts as of now. Raises DatabaseRefused where there are no tables of them."""
        from projections.accounts import queries
        from projections.accounts.projection import PROJECTION
        from projections.tables import fits

        with self._engine.snapshot() as tx:
            if not all(fits(tx, table) for table in PROJECTION.tables):
                raise DatabaseRefused(
                    f"{self.where} has no accounts of this version: start the service on it first."
                )
            return queries.everybody(tx, "") or queries.NOBODY

    def change(self, command: "Callable[[Unit, AccountRegister], T]") -> T:
        """Have a command carried out. Raises ChangeRefused where it was not."""
        from projections.accounts.register import AccountRegister

        register = AccountRegister()
        return carried_out(self._engine, self._settings, lambda unit: command(unit, register))


def carried_out(engine: "Engine", settings: Settings, command: "Callable[[Unit], T]") -> T:
    """Have a command carried out, as whoever runs this one. Raises ChangeRefused."""
    from domain.event import Act
    from domain.log.continuity import Continuity
    from domain.log.recorder import now
    from domain.log.writer import Writer
    from domain.refusal import Refusal
    from projections.all import PROJECTIONS
    from projections.rebuilding.live_tables import LiveTables
    from runners.database.log_watch import known_log

    models = LiveTables(PROJECTIONS)
    models.look(engine)
    continuity = Continuity(known_log(settings), settings.accept_log)
    writer = Writer(engine, models, timeout_s=TIMEOUT_S, continuity=continuity)
    act = Act(f"cli:{_who()}", f"cli-{secrets.token_hex(6)}", now())
    writer.start()
    try:
        changed: T = writer.submit(act, command).result()
    except Refusal as refusal:
        raise ChangeRefused(refusal.sentence) from None
    finally:
        writer.stop()
    return changed


@contextmanager
def accounts_of_database(
    config: str | None, data: str | None, database: str | None, *, writes: bool = False
) -> Iterator[AccountsOfDatabase]:
    """Those that `serve` uses with the same options; wrong use where there is no such database."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(existing_database(config, data, database, writes=writes))
        except NoDatabase as nothing:
            raise typer.BadParameter(str(nothing)) from None
        settings = settings_of(config=config, data=data, database=database)
        yield AccountsOfDatabase(engine, "The database", settings)


def _who() -> str:
    """Who runs the command: root's own name says less than that of whoever became root."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
