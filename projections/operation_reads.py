"""Queries on operations."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import orjson

from domain.log.recorder import POSITION_MAX
from domain.log.transaction import EngineName, Transaction
from projections.hosts import Answer, later

TAG_BYTES = 8
DONE: dict[str, str] = {"deploy": "deployed", "upgrade": "upgraded", "restart": "restarted"}
"""What v0 calls the hosts that are done."""


PAGE_DEFAULT, PAGE_MAX = 100, 1_000


class Filter(NamedTuple):
    """Which operations of the list. `None` means any."""

    cluster: str | None = None
    status: str | None = None
    kind: str | None = None
    actor: str | None = None


class Place(NamedTuple):
    """Which part of a list: so many, from after the place where the one before ended."""

    limit: int = PAGE_DEFAULT
    after: int | None = None


class Page(NamedTuple):
    """A JSON list of records, and where it ended; None where nothing follows."""

    body: bytes
    next: int | None


JOINED: dict[EngineName, str] = {
    "sqlite": """
        SELECT group_concat(record, ',') FROM (
            SELECT record FROM operation_hosts WHERE operation = ? ORDER BY number LIMIT -1
        )
    """,
    "postgresql": """
        SELECT string_agg(record, ',' ORDER BY number) FROM operation_hosts WHERE operation = ?
    """,
}
"""The records of all hosts in one text, put together where it keeps no other thread waiting.

With a limit SQLite reads the rows in order before it puts them together.
"""


def operation(tx: Transaction, name: str) -> Answer | None:
    """All of one operation, with its hosts: those it takes in order, then those it skips."""
    found = tx.execute("SELECT record, tag FROM operations WHERE id = ?", (name,)).fetchone()
    if found is None:
        return None
    hosts = tx.execute(JOINED[tx.engine], (name,)).fetchone()[0] or ""
    return Answer(f'{found[0][:-1]},"hosts":[{hosts}]}}'.encode(), found[1])


def without_hosts(tx: Transaction, name: str) -> Answer | None:
    """An operation without its hosts."""
    found = tx.execute("SELECT record, tag FROM operations WHERE id = ?", (name,)).fetchone()
    return Answer(found[0].encode(), found[1]) if found else None


def outcomes_in_turn(tx: Transaction, name: str, limit: int) -> list[tuple[str, str]]:
    """The first hosts that an operation takes, in order of turn, each with its outcome."""
    sql = """
        SELECT address, outcome FROM operation_hosts
        WHERE operation = ? AND outcome != 'skipped' ORDER BY number LIMIT ?
    """
    return [(address, outcome) for address, outcome in tx.execute(sql, (name, limit)).fetchall()]


def cluster_of(tx: Transaction, name: str) -> str:
    """The cluster that an operation is on; "" where there is no such operation."""
    found = tx.execute("SELECT cluster FROM operations WHERE id = ?", (name,)).fetchone()
    return str(found[0]) if found else ""


def operations(tx: Transaction, which: Filter, place: Place) -> Page:
    """A page of operations without their hosts, newest first."""
    conditions, params = ["position < ?"], [POSITION_MAX if place.after is None else place.after]
    for column, wanted in which._asdict().items():
        if wanted is not None:
            conditions.append(f"{column} = ?")
            params.append(wanted)
    sql = f"""
        SELECT position, record FROM operations WHERE {" AND ".join(conditions)}
        ORDER BY position DESC LIMIT {place.limit + 1}
    """  # noqa: S608 - every value is bound
    return _page(tx.execute(sql, params).fetchall(), place)


def hosts(tx: Transaction, name: str, outcome: str | None, place: Place) -> Page | None:
    """A page of an operation's hosts: those it takes in order, then those it skips."""
    if tx.execute("SELECT 1 FROM operations WHERE id = ?", (name,)).fetchone() is None:
        return None
    condition = "" if outcome is None else "AND outcome = ?"
    sql = f"""
        SELECT number, record FROM operation_hosts WHERE operation = ? AND number > ? {condition}
        ORDER BY number LIMIT {place.limit + 1}
    """  # noqa: S608 - every value is bound
    after = -1 if place.after is None else place.after
    params = (name, after) if outcome is None else (name, after, outcome)
    return _page(tx.execute(sql, params).fetchall(), place)


def _page(rows: Sequence[tuple[int, str]], place: Place) -> Page:
    shown = rows[: place.limit]
    body = f"[{','.join(row[1] for row in shown)}]".encode()
    return Page(body, shown[-1][0] if len(rows) > place.limit else None)


def v0_record(tx: Transaction, name: str) -> Answer:
    """An operation as v0 knows it, with host records as in `/hosts`; hosts that are gone are not
    among them."""
    sql = "SELECT record, tag FROM operations WHERE id = ?"
    text, changed = tx.execute(sql, (name,)).fetchone()
    whole = orjson.loads(text)
    hosts: dict[str, list[str]] = {"done": [], "in_process": []}
    seen = blake2b(changed.encode(), digest_size=TAG_BYTES)
    for outcome, head, checked, seen_at, host_tag in _hosts_of(tx, name):
        hosts[outcome].append(f'{head}{later(checked, seen_at)}"}}')
        seen.update(host_tag.encode())
    status = whole["status"]
    record = {
        "name": whole["cluster"],
        "status": {"paused": "in_process", "in_process": "in_process", "finished": "finished"}.get(
            status, "failed"
        ),
    }
    if whole["kind"] == "deploy":
        record["version"] = whole["version"]
    lists = f'"{DONE[whole["kind"]]}":[{",".join(hosts["done"])}]'
    lists += f',"in_process":[{",".join(hosts["in_process"])}]'
    times = {"started_at": whole["started_at"], "finished_at": whole["finished_at"]}
    begin, end = orjson.dumps(record).decode(), orjson.dumps(times).decode()
    return Answer(f"{begin[:-1]},{lists},{end[1:]}".encode(), seen.hexdigest())


def _hosts_of(tx: Transaction, name: str) -> Sequence[tuple[str, str, str, str | None, str]]:
    sql = """
        SELECT o.outcome, h.head, h.last_check, b.last_check, h.tag
        FROM operation_hosts o JOIN hosts h ON h.address = o.address
        LEFT JOIN heartbeats b ON b.address = o.address
        WHERE o.operation = ? AND o.outcome IN ('done', 'in_process') ORDER BY o.number
    """
    return tx.execute(sql, (name,)).fetchall()


def latest(tx: Transaction, cluster: str, kind: str) -> Answer | None:
    """The v0 record of the latest operation of a kind on a cluster."""
    sql = "SELECT operation FROM latest_operations WHERE id = ?"
    found = tx.execute(sql, (f"{cluster} {kind}",)).fetchone()
    return v0_record(tx, found[0]) if found else None


def unfinished(tx: Transaction) -> list[str]:
    """The ids of operations that are not over, oldest first."""
    sql = "SELECT id FROM operations WHERE is_over = 0 ORDER BY position"
    return [row[0] for row in tx.execute(sql).fetchall()]


def had_any(tx: Transaction, cluster: str) -> bool:
    """Whether an operation was ever begun on a cluster, which may be gone."""
    sql = "SELECT 1 FROM operations WHERE cluster = ? LIMIT 1"
    return tx.execute(sql, (cluster,)).fetchone() is not None


def is_occupied(tx: Transaction, address: str) -> bool:
    """Whether an operation works on a host."""
    sql = "SELECT 1 FROM operation_hosts WHERE address = ? AND outcome = 'in_process'"
    return tx.execute(sql, (address,)).fetchone() is not None


class Part(NamedTuple):
    """A host in an operation; once it is over nothing more is done there."""

    outcome: str
    is_over: bool


def part(tx: Transaction, name: str, address: str) -> Part | None:
    """How far an operation has come with a host; None where it has nothing to do with it."""
    sql = """
        SELECT h.outcome, o.is_over FROM operation_hosts h JOIN operations o ON o.id = h.operation
        WHERE h.id = ?
    """
    found = tx.execute(sql, (f"{name} {address}",)).fetchone()
    if found is None:
        return None
    return Part(found[0], bool(found[1]) or found[0] not in ("waiting", "in_process"))


def outcomes(tx: Transaction, address: str, names: Sequence[str]) -> dict[str, str]:
    """What became of a host in these operations, as far as they have to do with it."""
    marks = ", ".join("?" * len(names))
    sql = f"SELECT operation, outcome FROM operation_hosts WHERE id IN ({marks})"  # noqa: S608 - bound
    return dict(tx.execute(sql, [f"{name} {address}" for name in names]).fetchall())
