"""Nothing is half: what a database must be like, whatever happened to whoever wrote to it."""

from contextlib import ExitStack

from domain.aggregates.cluster import Cluster
from domain.aggregates.host import Host
from domain.log import recorder
from domain.log.transaction import Transaction
from domain.log.tree import kept
from domain.log.tree.hashing import Frontier
from domain.log.tree.leaf import hash_of
from domain.log.unit import load
from tests.support.service import Service
from tests.support.stores import Store


def database_of(service: Service, database_url: str) -> str:
    """The address of the database that a service keeps everything in."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{service.data / 'commissaire.db'}"
    return database_url


def must_be_whole(url: str) -> None:
    """Streams without holes, both sides of every membership, a key for every host and no other,
    read models that are what the log says, and the log's own tree.
    """
    with ExitStack() as opened:
        store = Store(url, opened)
        store.must_be_consistent()
        with store.engine.snapshot() as tx:
            _streams_must_have_no_holes(tx)
            _memberships_must_have_both_sides(tx)
            _every_host_must_have_its_key(tx)
            _every_row_must_have_its_leaf(tx)


def _every_row_must_have_its_leaf(tx: Transaction) -> None:
    """The log's Merkle tree is that of its rows; that of an old log may still be on its way."""
    if tx.execute(kept.EXISTS[tx.engine]).fetchone()[0] == 0 or not kept.tree(tx).grown:
        return
    rows = recorder.rows(tx, 0, recorder.POSITION_MAX)
    leaves = [kept.Leaf(row[0], hash_of(*row)) for row in rows]
    assert kept.leaves(tx, 0, len(leaves) + 1) == leaves
    assert kept.tree(tx).frontier == Frontier().extended(leaf.hash for leaf in leaves)[0]


def _streams_must_have_no_holes(tx: Transaction) -> None:
    broken = tx.execute(
        "SELECT originator_id, count(*), max(originator_version) FROM stored_events"
        " GROUP BY originator_id HAVING count(*) <> max(originator_version)"
        " OR min(originator_version) <> 1"
    ).fetchall()
    assert broken == []


def _memberships_must_have_both_sides(tx: Transaction) -> None:
    ids = [
        str(row[0])
        for row in tx.execute("SELECT DISTINCT originator_id FROM stored_events").fetchall()
    ]
    of_hosts = {
        (host.cluster, host.name)
        for host in (load(tx, Host, i.partition("/")[2]) for i in ids if i.startswith("host/"))
        if host.cluster
    }
    of_clusters = {
        (cluster.name, member)
        for cluster in (
            load(tx, Cluster, i.partition("/")[2]) for i in ids if i.startswith("cluster/")
        )
        for member in cluster.members
    }
    assert of_hosts == of_clusters
    rows = tx.execute("SELECT cluster, address FROM members").fetchall()
    assert {(row[0], row[1]) for row in rows} == of_clusters
    assert len(rows) == len(of_clusters)


def _every_host_must_have_its_key(tx: Transaction) -> None:
    keys = tx.execute("SELECT subject FROM vault WHERE subject LIKE 'host/%'").fetchall()
    hosts = tx.execute("SELECT address FROM hosts").fetchall()
    assert sorted(row[0] for row in keys) == sorted(f"host/{row[0]}" for row in hosts)
