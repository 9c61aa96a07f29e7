"""What is asked of the fleet: a page of hosts, how many there are of each kind, and a summary."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from domain.log import recorder
from domain.log.transaction import Transaction
from domain.refusal import invalid, not_found
from projections.fleet.cures import CURES, UNKNOWN_OUTCOME
from projections.hosts import later

PAGE_DEFAULT, PAGE_MAX = 100, 1_000
NAMES_MAX = 20
"""So many hosts are named of each kind of failure."""
VALUES_MAX = 100
"""So many values of one facet are told, the most frequent first."""
SORTED_MAX = 2_000
"""Up to so many hosts that match are sorted; of more the order of an index is followed."""
DIMENSIONS = ("status", "kind", "cluster", "os")
SORTS = ("address", "since", *DIMENSIONS)


class HostFilter(NamedTuple):
    """Which hosts. `None` means any; `labels` are `key=value`, all of which a host must have.

    `reboot_needed`: 1, 0, or -1 for those of which nobody can tell.
    """

    q: str | None = None
    status: str | None = None
    kind: str | None = None
    cluster: str | None = None
    os: str | None = None
    labels: tuple[str, ...] = ()
    reboot_needed: int | None = None

    @property
    def alike(self) -> dict[str, str]:
        """What is asked of the dimensions that hosts are counted by."""
        wanted = {name: getattr(self, name) for name in DIMENSIONS}
        return {name: value for name, value in wanted.items() if value is not None}


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


def hosts(tx: Transaction, which: HostFilter, page: Page, *, past: bool = False) -> HostPage:
    """A page of hosts. `past`: what is known of now alone is null."""
    column = page.sort.removeprefix("-")
    descending = page.sort.startswith("-")
    source, by_address, conditions, params = matching(tx, which, column)
    if page.after is not None:
        operator = "<" if descending else ">"
        value, address = _place(page.after)
        if column == "address":
            conditions.append(f"{by_address} {operator} ?")
        else:
            conditions.append(f"(h.{column}, h.address) {operator} (?, ?)")
            params.append(value)
        params.append(address)
    order = "DESC" if descending else "ASC"
    select = SELECT.format(
        now_alone="NULL, NULL, NULL" if past else f"{SCANNED}, {NEXT_CHECK}, {OPERATION}",
        sorted_by=f"h.{column}",
        source=source,
    )
    sql = f"""
        {select} LEFT JOIN heartbeats b ON b.address = h.address
        WHERE {" AND ".join(conditions)}
        ORDER BY {"" if column == "address" else f"h.{column} {order}, "}{by_address} {order}
        LIMIT {page.limit + 1}
    """
    rows = tx.execute(sql, params).fetchall()
    records = [_record(*row[1:8]) for row in rows[: page.limit]]
    following = None
    if len(rows) > page.limit:
        last = rows[page.limit - 1]
        following = _told_place(last[8], last[0])
    return HostPage(f"[{','.join(records)}]".encode(), following)


def _record(
    head: str,
    checked: str,
    seen: str | None,
    updates: str,
    scanned: str | None,
    next_check: str | None,
    operation: str | None,
) -> str:
    found = orjson.loads(updates) if updates else None
    if found:
        found["at"] = later(found["at"], scanned)
    more = orjson.dumps(
        {
            "updates": found,
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
    source, by_address, conditions, params = matching(tx, which, "address")
    where = " AND ".join(conditions)
    sql = f"SELECT h.address FROM {source} WHERE {where} ORDER BY {by_address} LIMIT {limit}"
    return [row[0] for row in tx.execute(sql, params).fetchall()]


class Matching(NamedTuple):
    """Where hosts are looked for: tables, the column that has addresses in order, conditions."""

    source: str
    by_address: str
    conditions: list[str]
    params: list[Any]  # any value that a column has


def matching(tx: Transaction, which: HostFilter, column: str) -> Matching:
    """The search that looks at fewest hosts, sorted by a column.

    It begins with what fewest hosts have in common: neither engine knows how many those are, and
    SQLite would take the first index that fits.
    """
    conditions: list[str] = ["1 = 1"]
    params: list[Any] = []  # any value that a column has
    for name, value in which.alike.items():
        conditions.append(f"h.{name} = ?")
        params.append(value)
    if which.reboot_needed is not None:
        conditions.append("h.reboot_needed = ?")
        params.append(which.reboot_needed)
    if which.q:
        conditions.append(
            "(h.address LIKE ? ESCAPE '!' OR EXISTS (SELECT 1 FROM host_labels s"
            " WHERE s.address = h.address AND s.label LIKE ? ESCAPE '!'))"
        )
        params += [f"%{_literal(which.q)}%"] * 2
    rarest = min([(_how_many(tx, "", **{n: v}), n) for n, v in which.alike.items()], default=None)
    by_label = min([(_how_many(tx, label), label) for label in which.labels], default=None)
    source = "fleet_hosts h"
    for label in which.labels:
        if by_label and label == by_label[1] and (rarest is None or by_label[0] <= rarest[0]):
            source = "host_labels l CROSS JOIN fleet_hosts h"
            conditions += ["l.label = ?", "l.address = h.address"]
        else:
            conditions.append(
                "EXISTS (SELECT 1 FROM host_labels s WHERE s.id = ? || ' ' || h.address)"
            )
        params.append(label)
    if source != "fleet_hosts h":
        return Matching(source, "l.address", conditions, params)
    index = rarest[1] if rarest and (column == "address" or rarest[0] <= SORTED_MAX) else column
    if tx.engine == "sqlite" and index != "address":
        source += f" INDEXED BY fleet_hosts_by_{index}"
    return Matching(source, "h.address", conditions, params)


def _literal(text: str) -> str:
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return text


def _how_many(tx: Transaction, label: str, **alike: str) -> int:
    conditions = "".join(f" AND {name} = ?" for name in alike)
    sql = f"SELECT coalesce(sum(count), 0) FROM fleet_counts WHERE label = ?{conditions}"
    return int(tx.execute(sql, (label, *alike.values())).fetchone()[0])


def _told_place(value: str, address: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([value, address])).decode().rstrip("=")


def _place(text: str) -> list[str]:
    try:
        padded = text + "=" * (-len(text) % 4)
        value, address = orjson.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise invalid("after must be from the link to a next page.", "after") from None
    return [str(value), str(address)]


def facets(tx: Transaction, which: HostFilter, *, labels: bool = True) -> dict[str, Any]:
    """How many hosts match, by each dimension and, if wanted, label."""
    if which.q or which.labels or which.reboot_needed is not None:
        counted = _counted_one_by_one(tx, which)
    else:
        conditions = "".join(f" AND {name} = ?" for name in which.alike)
        sql = f"""
            SELECT label, status, kind, cluster, os, count FROM fleet_counts
            WHERE {"1 = 1" if labels else "label = ''"}{conditions}
        """
        counted = tx.execute(sql, tuple(which.alike.values())).fetchall()
    return _summed(counted)


def _counted_one_by_one(tx: Transaction, which: HostFilter) -> list[tuple[Any, ...]]:
    source, _, conditions, params = matching(tx, which, "address")
    where = " AND ".join(conditions)
    dimensions = ", ".join(f"h.{name}" for name in DIMENSIONS)
    sql = f"""
        SELECT '', {dimensions}, count(*) FROM {source} WHERE {where} GROUP BY {dimensions}
    """
    found = tx.execute(sql, params).fetchall()
    sql = f"""
        SELECT k.label, '', '', '', '', count(*)
        FROM host_labels k WHERE k.address IN (SELECT h.address FROM {source} WHERE {where})
        GROUP BY k.label
    """
    return [*found, *tx.execute(sql, params).fetchall()]


def _summed(counted: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    total = 0
    sums: dict[str, dict[str, int]] = {name: {} for name in DIMENSIONS}
    labels: dict[str, dict[str, int]] = {}
    for label, *values, count in counted:
        if label:
            key, _, value = label.partition("=")
            of_key = labels.setdefault(key, {})
            of_key[value] = of_key.get(value, 0) + count
            continue
        total += count
        for name, value in zip(DIMENSIONS, values, strict=True):
            if value or name != "kind":  # a host that has not failed has no kind
                sums[name][value] = sums[name].get(value, 0) + count
    told: dict[str, Any] = {name: _most(found) for name, found in sums.items()}
    by_size = sorted(labels, key=lambda key: (-sum(labels[key].values()), key))[:VALUES_MAX]
    return {"total": total} | told | {"labels": {key: _most(labels[key]) for key in by_size}}


def _most(found: dict[str, int]) -> dict[str, int]:
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:VALUES_MAX])


def fleet(tx: Transaction, *, past: bool = False) -> dict[str, Any]:
    """All in small: counts, why hosts failed, what runs, and what needs a person."""
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
        "needs_a_person": needs if past else needs + _unknown(tx),
    }


def _named(tx: Transaction, kind: str) -> list[str]:
    sql = f"SELECT address FROM fleet_hosts WHERE kind = ? ORDER BY address LIMIT {NAMES_MAX}"
    return [row[0] for row in tx.execute(sql, (kind,)).fetchall()]


def _running(tx: Transaction) -> list[dict[str, Any]]:
    sql = "SELECT record FROM operations WHERE is_over = 0 ORDER BY position"
    told = ("id", "kind", "cluster", "status", "cancelling", "actor", "started_at", "counts")
    records = [orjson.loads(row[0]) for row in tx.execute(sql).fetchall()]
    return [{key: record[key] for key in told} | {"waits_for": None} for record in records]


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
