"""Which hosts of the fleet are meant, and how they are looked for."""

from typing import Any, NamedTuple

from domain.log.transaction import EngineName, Transaction

SORTED_MAX = 2_000
"""Up to so many hosts that match are sorted; of more the order of an index is followed."""
SOUGHT_MAX = 8
"""Up to so many labels that have `q` are looked up for each host."""
DIMENSIONS = ("status", "kind", "cluster", "os")
SORTED_BY_LABEL = ("address", "since")
"""The hosts of a label are in order by these, however many they are."""


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


LIKE: dict[EngineName, str] = {"sqlite": "LIKE", "postgresql": "ILIKE"}
"""Whether a letter is a capital does not matter on either engine."""


class Matching(NamedTuple):
    """Where hosts are looked for: tables, the columns that are in order there, conditions."""

    source: str
    by_column: str
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
        condition, sought = _anywhere(tx, f"%{literal(which.q)}%")
        conditions.append(condition)
        params += sought
    rarest = min([(_how_many(tx, "", **{n: v}), n) for n, v in which.alike.items()], default=None)
    by_label = min([(_how_many(tx, label), label) for label in which.labels], default=None)
    source = "fleet_hosts h"
    first = by_label[1] if by_label and (rarest is None or by_label[0] <= rarest[0]) else None
    if by_label and by_label[0] > SORTED_MAX and column not in SORTED_BY_LABEL:
        first = None  # so many are not sorted: the order of an index is followed
    for label in which.labels:
        if label == first:
            source = "host_labels l CROSS JOIN fleet_hosts h"
            conditions += ["l.label = ?", "l.address = h.address"]
        else:
            conditions.append(
                "EXISTS (SELECT 1 FROM host_labels s WHERE s.id = ? || ' ' || h.address)"
            )
        params.append(label)
    if source != "fleet_hosts h":
        table = "l" if column in SORTED_BY_LABEL else "h"
        return Matching(source, f"{table}.{column}", "l.address", conditions, params)
    index = rarest[1] if rarest and (column == "address" or rarest[0] <= SORTED_MAX) else column
    if tx.engine == "sqlite" and index != "address":
        source += f" INDEXED BY fleet_hosts_by_{index}"
    return Matching(source, f"h.{column}", "h.address", conditions, params)


def _anywhere(tx: Transaction, pattern: str) -> tuple[str, list[str]]:
    """The condition that a host has a pattern in its address or a label, and its parameters.

    Which labels have it is found out once, not for each host: mostly none has.
    """
    like = f"{LIKE[tx.engine]} ? ESCAPE '!'"
    sql = f"SELECT DISTINCT label FROM fleet_counts WHERE label {like} LIMIT {SOUGHT_MAX + 1}"
    labels = [str(row[0]) for row in tx.execute(sql, (pattern,)).fetchall()]
    if not labels:
        return f"h.address {like}", [pattern]
    if len(labels) > SOUGHT_MAX:
        condition, sought = f"s.address = h.address AND s.label {like}", [pattern]
    else:
        ids = ", ".join(["? || ' ' || h.address"] * len(labels))
        condition, sought = f"s.id IN ({ids})", labels
    has = f"EXISTS (SELECT 1 FROM host_labels s WHERE {condition})"
    return f"(h.address {like} OR {has})", [pattern, *sought]


def literal(text: str) -> str:
    """As a pattern of LIKE with the escape `!` has it."""
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return text


def _how_many(tx: Transaction, label: str, **alike: str) -> int:
    conditions = "".join(f" AND {name} = ?" for name in alike)
    sql = f"SELECT coalesce(sum(count), 0) FROM fleet_counts WHERE label = ?{conditions}"
    return int(tx.execute(sql, (label, *alike.values())).fetchone()[0])
