"""How many hosts there are of each kind."""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from domain.log.transaction import EngineName, Transaction
from projections.fleet.matching import DIMENSIONS, HostFilter, matching

VALUES_MAX = 100
"""So many values of one facet are told, the most frequent first."""
PROFILES_MAX = 5_000
"""So many kinds of hosts are looked at. Where there are more, as with a label of its own for each
host, the hosts are counted one by one."""
OF_ADDRESSES = re.compile(r"[0-9a-z.:-]+")
"""What a part of an address is made of: `q` with anything else is of labels alone."""
POSITION: dict[EngineName, str] = {"sqlite": "instr", "postgresql": "strpos"}


def facets(tx: Transaction, which: HostFilter, *, labels: bool = True) -> dict[str, Any]:
    """How many hosts match, by each dimension and, if wanted, label."""
    if which.q or which.labels or which.reboot_needed is not None:
        profiles = _profiles(tx, which)
        counted = (
            _counted_one_by_one(tx, which)
            if profiles is None
            else _counted_by_profile(tx, which, profiles)
        )
    else:
        conditions = "".join(f" AND {name} = ?" for name in which.alike)
        sql = f"""
            SELECT label, status, kind, cluster, os, count FROM fleet_counts
            WHERE {"1 = 1" if labels else "label = ''"}{conditions}
        """
        counted = tx.execute(sql, tuple(which.alike.values())).fetchall()
    return _summed(counted)


def _profiles(tx: Transaction, which: HostFilter) -> Sequence[tuple[Any, ...]] | None:
    """What hosts have in common that match, but for `q` and labels. None where it is too much."""
    if tx.execute(f"SELECT id FROM fleet_profiles LIMIT 1 OFFSET {PROFILES_MAX}", ()).fetchone():
        return None
    wanted: dict[str, Any] = {**which.alike}
    if which.reboot_needed is not None:
        wanted["reboot_needed"] = which.reboot_needed
    conditions = "".join(f" AND {name} = ?" for name in wanted)
    sql = f"""
        SELECT id, labels, status, kind, cluster, os, count FROM fleet_profiles
        WHERE 1 = 1{conditions}
    """
    return tx.execute(sql, tuple(wanted.values())).fetchall()


def _counted_by_profile(
    tx: Transaction, which: HostFilter, profiles: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    found = which.q.lower() if which.q else ""
    wanted = set(which.labels)
    counts: dict[str, int] = {}
    alike = []
    for name, labels, *values, count in profiles:
        pairs = [f"{key}={value}" for key, value in orjson.loads(labels).items()]
        if wanted.issubset(pairs):
            alike.append((name, pairs, values))
            if not found or any(found in pair.lower() for pair in pairs):
                counts[name] = count
    if found and OF_ADDRESSES.fullmatch(found):
        others = [name for name, _, _ in alike if name not in counts]
        # To look for most of them one by one takes longer than to look at all.
        most = len(others) > len(profiles) / 2
        counts = _by_address(tx, found, None if most else others) | counts
    counted: list[tuple[Any, ...]] = []
    of_labels: dict[str, int] = {}
    for name, pairs, values in alike:
        if count := counts.get(name, 0):
            counted.append(("", *values, count))
            for pair in pairs:
                of_labels[pair] = of_labels.get(pair, 0) + count
    return [*counted, *((label, "", "", "", "", n) for label, n in of_labels.items())]


def _by_address(tx: Transaction, text: str, profiles: list[str] | None) -> dict[str, int]:
    """How many hosts have a text in their address, which is in lower case: of these profiles."""
    if profiles == []:
        return {}
    among = f" AND profile IN ({', '.join('?' * len(profiles))})" if profiles else ""
    sql = f"""
        SELECT profile, count(*) FROM fleet_hosts
        WHERE {POSITION[tx.engine]}(address, ?) > 0{among} GROUP BY profile
    """
    return dict(tx.execute(sql, (text, *(profiles or ()))).fetchall())


def _counted_one_by_one(tx: Transaction, which: HostFilter) -> list[tuple[Any, ...]]:
    source, _, _, conditions, params = matching(tx, which, "address")
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
