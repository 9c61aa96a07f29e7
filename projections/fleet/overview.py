"""All of a large fleet at a glance: how many hosts of each cluster have which status, and the
status of each host and nothing else.
"""

from typing import NamedTuple

from domain.log.transaction import Transaction
from projections.fleet.matching import HostFilter, matching

MATRIX = """
    SELECT cluster, status, sum(count) FROM fleet_counts WHERE label = ''
    GROUP BY cluster, status ORDER BY cluster, status
"""
Matrix = dict[str, dict[str, int]]
"""By cluster ("" for hosts in none) and status."""


class HostStatus(NamedTuple):
    """A host, and how it is."""

    address: str
    status: str


def matrix(tx: Transaction) -> Matrix:
    """How many hosts of each cluster have which status."""
    found: Matrix = {}
    for cluster, status, count in tx.execute(MATRIX).fetchall():
        if count:
            found.setdefault(cluster, {})[status] = int(count)
    return found


def statuses(tx: Transaction, which: HostFilter, limit: int) -> list[HostStatus]:
    """The first hosts that match, sorted by cluster and address."""
    source, _, _, conditions, params = matching(tx, which, "address")
    sql = f"""
        SELECT h.address, h.status FROM {source} WHERE {" AND ".join(conditions)}
        ORDER BY h.cluster, h.address LIMIT {limit}
    """
    return [HostStatus(*row) for row in tx.execute(sql, params).fetchall()]
