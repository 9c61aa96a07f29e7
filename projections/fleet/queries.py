"""What is asked of the fleet: a page of hosts, how many there are of each kind, and a summary."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from domain.aggregates.source import BecameStale, Source
from domain.log import recorder
from domain.log.mapper import to_event
from domain.log.transaction import Transaction
from domain.refusal import invalid, not_found
from projections.fleet.cures import (
    CURES,
    FAILING_WEBHOOK,
    GIVEN_UP_WEBHOOK,
    STALE_SOURCE,
    STOPPED,
    UNKNOWN_OUTCOME,
)
from projections.fleet.facets import facets
from projections.fleet.matching import DIMENSIONS, HostFilter, matching
from projections.hosts import later
from projections.rollouts import budgets
from projections.webhooks import queries as webhooks

PAGE_DEFAULT, PAGE_MAX = 100, 1_000
LOCKS_MAX = 100
NAMES_MAX = 20
"""So many hosts are named of each kind of failure."""
RUNNING = (
    *("id", "kind", "cluster", "status", "cancelling", "actor", "started_at", "counts"),
    "waits_for",
)
"""What is told of an operation that is not over."""
SORTS = ("address", "since", *DIMENSIONS)


class Page(NamedTuple):
    """Which part of the hosts: sorted by a column (`-`: descending), from after a place."""

    sort: str = "address"
    limit: int = PAGE_DEFAULT
    after: str | None = None


class HostPage(NamedTuple):
    """A JSON list of records, and where the next page begins; None at the end."""

    body: bytes
    next: str | None


SELECT = (
    "SELECT h.address, h.head, h.last_check, b.last_check, h.updates, {now_alone}, {sorted_by}"
    " FROM {source}"
)
SCANNED = "(SELECT s.at FROM update_scans s WHERE s.address = h.address)"
NEXT_CHECK = """
    (SELECT l.next_check FROM host_looks l WHERE l.address = h.address AND h.status = 'failed')
"""
OPERATION = """
    (SELECT oh.operation FROM operation_hosts oh JOIN operations o ON o.id = oh.operation
     WHERE oh.address = h.address AND oh.outcome IN ('waiting', 'in_process') AND o.is_over = 0
     LIMIT 1)
"""
NOW_ALONE = (SCANNED, "f.kind", "f.reason", "f.at", NEXT_CHECK, OPERATION)


def hosts(tx: Transaction, which: HostFilter, page: Page, *, past: bool = False) -> HostPage:
    """A page of hosts. `past`: what is known of now alone is null."""
    column = page.sort.removeprefix("-")
    descending = page.sort.startswith("-")
    source, by_column, by_address, conditions, params = matching(tx, which, column)
    if page.after is not None:
        operator = "<" if descending else ">"
        value, address = _place(page.after)
        if column == "address":
            conditions.append(f"{by_address} {operator} ?")
        else:
            conditions.append(f"({by_column}, {by_address}) {operator} (?, ?)")
            params.append(value)
        params.append(address)
    order = "DESC" if descending else "ASC"
    select = SELECT.format(
        now_alone=", ".join(["NULL"] * 6 if past else NOW_ALONE),
        sorted_by=f"h.{column}",
        source=source,
    )
    sql = f"""
        {select} LEFT JOIN heartbeats b ON b.address = h.address
        {"" if past else "LEFT JOIN failed_update_scans f ON f.address = h.address"}
        WHERE {" AND ".join(conditions)}
        ORDER BY {"" if column == "address" else f"{by_column} {order}, "}{by_address} {order}
        LIMIT {page.limit + 1}
    """
    rows = tx.execute(sql, params).fetchall()
    records = [_record(*row[1:11]) for row in rows[: page.limit]]
    following = None
    if len(rows) > page.limit:
        last = rows[page.limit - 1]
        following = _told_place(last[11], last[0])
    return HostPage(f"[{','.join(records)}]".encode(), following)


def _record(
    head: str,
    checked: str,
    seen: str | None,
    updates: str,
    scanned: str | None,
    failed_kind: str | None,
    failed_reason: str | None,
    failed_at: str | None,
    next_check: str | None,
    operation: str | None,
) -> str:
    found = orjson.loads(updates) if updates else None
    if found:
        found["at"] = later(found["at"], scanned)
    failed = {"kind": failed_kind, "reason": failed_reason, "at": failed_at}
    more = orjson.dumps(
        {
            "updates": found,
            "updates_failed": failed if failed_kind else None,
            "last_check": later(checked, seen),
            "next_check": next_check,
            "operation": operation,
        }
    )
    return f"{head},{more[1:].decode()}"


def labels(tx: Transaction, address: str) -> bytes:
    """The labels of a host, as a JSON object. Refuses a host that is not there."""
    found = tx.execute("SELECT labels FROM fleet_hosts WHERE address = ?", (address,)).fetchone()
    if found is None:
        raise not_found(f"There is no host {address}: register it with PUT first.")
    return bytes(found[0], "utf-8")


def addresses(tx: Transaction, which: HostFilter, limit: int) -> list[str]:
    """The addresses of the first hosts that match, sorted."""
    source, _, by_address, conditions, params = matching(tx, which, "address")
    where = " AND ".join(conditions)
    sql = f"SELECT h.address FROM {source} WHERE {where} ORDER BY {by_address} LIMIT {limit}"
    return [row[0] for row in tx.execute(sql, params).fetchall()]


def _told_place(value: str, address: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([value, address])).decode().rstrip("=")


def _place(text: str) -> list[str]:
    try:
        padded = text + "=" * (-len(text) % 4)
        value, address = orjson.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise invalid("after must be from the link to a next page.", "after") from None
    return [str(value), str(address)]


def fleet(
    tx: Transaction, sources: frozenset[str] = frozenset(), *, past: bool = False
) -> dict[str, Any]:
    """All in small: counts, why hosts failed, what runs, and what needs a person.

    `sources` are those of the settings: nobody waits for another one any more.
    """
    counts = facets(tx, HostFilter(), labels=False)
    failed = [
        {"kind": kind, "count": count, "cure": CURES[kind], "hosts": _named(tx, kind)}
        for kind, count in counts["kind"].items()
    ]
    needs = [each | {"what": "host_key"} for each in failed if each["kind"] == "host_key"]
    return {
        "position": recorder.head(tx).position if not past else None,
        "hosts": {"total": counts["total"]} | {n: counts[n] for n in ("status", "os", "cluster")},
        "failed": failed,
        "operations": [] if past else _running(tx),
        "locks": budgets.locks(tx)[:LOCKS_MAX],
        "needs_a_person": needs if past else needs + _needs_now(tx, sources),
    }


def _needs_now(tx: Transaction, sources: frozenset[str]) -> list[dict[str, Any]]:
    return [*_unknown(tx), *_stopped(tx), *_stale(tx, sources), *_given_up(tx), *_in_trouble(tx)]


def _named(tx: Transaction, kind: str) -> list[str]:
    sql = f"SELECT address FROM fleet_hosts WHERE kind = ? ORDER BY address LIMIT {NAMES_MAX}"
    return [row[0] for row in tx.execute(sql, (kind,)).fetchall()]


def _running(tx: Transaction) -> list[dict[str, Any]]:
    sql = "SELECT record FROM operations WHERE is_over = 0 ORDER BY position"
    records = [orjson.loads(row[0]) for row in tx.execute(sql).fetchall()]
    return [{key: record[key] for key in RUNNING} for record in records]


def _unknown(tx: Transaction) -> list[dict[str, Any]]:
    """Hosts whose end nobody knows, of the latest operation of each kind on each cluster."""
    sql = """
        SELECT oh.operation, oh.address FROM latest_operations l
        JOIN operation_hosts oh ON oh.operation = l.operation
        WHERE oh.outcome = 'unknown' ORDER BY oh.operation, oh.number
    """
    by_operation: dict[str, list[str]] = {}
    for operation, address in tx.execute(sql).fetchall():
        by_operation.setdefault(operation, []).append(address)
    return [
        {
            "what": "unknown_outcome",
            "operation": operation,
            "count": len(found),
            "cure": UNKNOWN_OUTCOME,
            "hosts": found[:NAMES_MAX],
        }
        for operation, found in by_operation.items()
    ]


def _stopped(tx: Transaction) -> Iterator[dict[str, Any]]:
    """Operations between two waves that only a person lets go on."""
    for operation in _running(tx):
        waits = operation["waits_for"] or {"what": "", "until": None}
        if waits["what"] in STOPPED and waits["until"] is None and not operation["cancelling"]:
            yield {
                "what": waits["what"],
                "operation": operation["id"],
                "reason": waits["reason"],
                "count": 1,
                "cure": STOPPED[waits["what"]],
                "hosts": [],
            }


def _stale(tx: Transaction, sources: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Those of the sources that have not answered for longer than their limit."""
    for stored in recorder.newest_each(tx, Source.KIND):
        event = to_event(stored) if stored.topic == BecameStale.TOPIC else None
        if isinstance(event, BecameStale):
            name = event.originator_id.partition("/")[2]
            if name not in sources:
                continue
            yield {
                "what": "stale_source",
                "source": name,
                "since": event.since,
                "reason": event.reason,
                "count": 1,
                "cure": STALE_SOURCE,
                "hosts": [],
            }


def _given_up(tx: Transaction) -> Iterator[dict[str, Any]]:
    """Webhooks that nothing is sent to any more."""
    for name, told in webhooks.given_up(tx):
        yield {
            "what": "given_up_webhook",
            "webhook": name,
            "since": told["since"],
            "reason": told["reason"],
            "count": 1,
            "cure": GIVEN_UP_WEBHOOK,
            "hosts": [],
        }


def _in_trouble(tx: Transaction) -> Iterator[dict[str, Any]]:
    """Webhooks that have failed for a while, and will be given up if nobody looks."""
    for name, cursor in webhooks.in_trouble(tx):
        yield {
            "what": "failing_webhook",
            "webhook": name,
            "since": cursor.failing_since,
            "reason": cursor.reason,
            "count": 1,
            "cure": FAILING_WEBHOOK,
            "hosts": [],
        }
