"""The database: does it answer, is its log whole, are read models right, does the key open it?"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from domain.log.engine import Engine
from domain.log.recorder import head
from domain.log.transaction import Transaction
from projections.all import PROJECTIONS
from projections.rebuilding.status import status
from runners.cli.doctor.finding import Finding, ok, warning, wrong
from runners.cli.log.check import check
from runners.cli.output import progress
from runners.security.vault import Vault, WrongMasterKey, master_key_given
from runners.settings.settings import Settings

CLOCK_BEHIND = timedelta(minutes=1)
SERVER_VERSION = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
SERVER_NAME = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def database(engine: Engine, settings: Settings) -> Iterator[Finding]:
    """Its version, and whether the clock is behind its newest event."""
    with engine.snapshot() as tx:
        (number,) = tx.execute(SERVER_VERSION[engine.name]).fetchone()
        newest = head(tx)
    yield ok("database", f"{settings.database_shown}, {SERVER_NAME[engine.name]} {number}.")
    if newest.recorded_at:
        latest = datetime.fromisoformat(newest.recorded_at).replace(tzinfo=UTC)
        if latest - datetime.now(UTC) > CLOCK_BEHIND:
            yield wrong(
                "clock",
                f"It is behind the newest event of the log, of {newest.recorded_at}.",
                "Set the clock of this machine, or of whatever stamped the log.",
            )


def log(engine: Engine, *, quick: bool) -> Iterator[Finding]:
    """Whether the log is whole, as `log check` says it."""
    with engine.snapshot() as tx:
        position = head(tx).position
    if quick:
        yield ok("log", f"At position {position}; not looked through (--quick).")
        return
    with progress("checking the log", position) as advance:
        findings = check(engine, advance)
    if findings.wrong:
        action = "Stop the service and keep a copy; then see docs/operating.md, Restoring."
        yield wrong("log", findings.wrong, action)
    else:
        yield ok("log", f"Whole up to position {findings.position}: {findings.events} events.")


def read_models(engine: Engine) -> Iterator[Finding]:
    """How far each of them is, as `projections status` says it."""
    with engine.snapshot() as tx:
        found = status(tx, PROJECTIONS)
    ill = [each for each in found if each.state != "current"]
    for each in ill:
        said = f"{each.name} is {each.state}. {each.reason}".strip()
        behind = each.state in ("behind", "outdated")
        yield (warning if behind else wrong)("read models", said, each.action)
    if not ill:
        yield ok("read models", f"All {len(found)} are current.")


def vault(engine: Engine, settings: Settings) -> Iterator[Finding]:
    """Whether the master key opens what is kept in this database."""
    if settings.master_key_file is None and settings.vault_key_file.is_fifo():
        # Reading it would wait for whoever writes into it.
        found = f"{settings.vault_key_file} is a pipe."
        yield wrong("master key", found, "Put the right one back from its copy.")
        return
    try:
        key = master_key_given(settings.master_key, settings.vault_key_file)
        with engine.snapshot() as tx:
            Vault(key).check(tx)
    except FileNotFoundError:
        missing = f"There is none at {settings.vault_key_file}."
        yield wrong("master key", missing, "Put it back from its copy.")
    except WrongMasterKey as refused:
        yield wrong("master key", f"{refused}.", "Put the right one back from its copy.")
    else:
        yield ok("master key", "It opens the vault of this database.")


def accounts(engine: Engine, settings: Settings) -> Iterator[Finding]:
    """Whether somebody can administer, and which tokens never end."""
    with engine.snapshot() as tx:
        admins = _count(tx, "SELECT count(*) FROM users WHERE role = 'admin'")
        endless = _count(tx, "SELECT count(*) FROM tokens WHERE expires = ''")
    if settings.users_file.exists():
        yield ok("accounts", f"Users of {settings.users_file} come before those of the database.")
    elif admins == 0:
        yield warning(
            "accounts",
            "No user of the database is an administrator.",
            "Add one: commissaire user add NAME --role admin (or name a file: --users).",
        )
    else:
        yield ok("accounts", f"Administrators in the database: {admins}.")
    if endless:
        yield warning(
            "accounts",
            f"Tokens that never end: {endless}.",
            "See commissaire token list; make new ones with --expires.",
        )


def _count(tx: Transaction, sql: str) -> int:
    return int(tx.execute(sql).fetchone()[0])
