"""What the database takes of this service: whether it takes writes, and which tables it gives."""

import re
from collections.abc import Iterable, Sequence

from domain.log.engine import TakesNoWrites, Unusable
from domain.log.transaction import Transaction

CREATED = re.compile(r"\s*CREATE TABLE IF NOT EXISTS (\w+)")
LOG = "stored_events"
OF_LOG = ("SELECT", "INSERT", "UPDATE, DELETE, TRUNCATE")
"""The last one, of which any will do, is for its lock: nothing of the log is ever changed."""
OF_OTHERS = ("SELECT", "INSERT", "UPDATE", "DELETE")

IS_READ_ONLY = """
    SELECT CASE WHEN pg_is_in_recovery() THEN 'it is a standby'
        WHEN current_setting('default_transaction_read_only')::boolean
        THEN 'default_transaction_read_only is on' END
"""
MISSING = """
    SELECT name, wanted, to_regclass(name) IS NOT NULL
    FROM unnest(?::text[], ?::text[]) AS wanted_rights (name, wanted)
    WHERE has_table_privilege(to_regclass(name), wanted) IS NOT TRUE
    ORDER BY name LIMIT 1
"""


def tables_created_by(statements: Iterable[str]) -> list[str]:
    """The tables that these statements create."""
    return [found[1] for found in map(CREATED.match, statements) if found]


def must_be_usable(tx: Transaction, tables: Sequence[str]) -> None:
    """Raise `TakesNoWrites` or `Unusable` where the next change would be refused."""
    if tx.engine != "postgresql":
        return
    (why,) = tx.execute(IS_READ_ONLY).fetchone()
    if why:
        raise TakesNoWrites(f"{tx.place}: {why}")
    wanted = [(name, right) for name in tables for right in (OF_LOG if name == LOG else OF_OTHERS)]
    names, rights = [name for name, _ in wanted], [right for _, right in wanted]
    missing = tx.execute(MISSING, (names, rights)).fetchone()
    if missing is not None:
        name, right, is_there = missing
        raise Unusable(
            f"permission denied for table {name}: {right}"
            if is_there
            else f'relation "{name}" does not exist, or is not on the search_path'
        )
