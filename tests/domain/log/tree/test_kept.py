"""Each row of the log has its leaf, on both engines: of the writer, the recorder, and old logs."""

import sqlite3
import time

import psycopg
import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engine import Engine, StoredEvent
from domain.log.recorder import LogRecorder
from domain.log.tree import growth, kept, proofs
from domain.log.tree.hashing import Frontier
from domain.log.tree.kept import BrokenTree, Leaf
from domain.log.tree.leaf import hash_of, leaf
from runners.security.vault import Vault
from tests.domain.log.writing import creating, queue
from tests.faults.models.whole import must_be_whole
from tests.support.stores import Store, done

ROWS = 600
"""Two whole subtrees, and some."""
FORGET = ("DELETE FROM log_leaves", "DELETE FROM log_nodes")
AS_BEFORE = "UPDATE log_frontier SET size = 0, position = 0, grown = 0, hashes = {nothing}"


def events(count: int, first: int = 1) -> list[StoredEvent]:
    """Of one stream."""
    return [
        StoredEvent("host/a", version, "host.removed", b'{"n":%d}' % version)
        for version in range(first, first + count)
    ]


def leaves_of(engine: Engine) -> list[Leaf]:
    """What the tree must have: made from the rows themselves."""
    with engine.snapshot() as tx:
        return [Leaf(row[0], hash_of(*row)) for row in recorder.rows(tx, 0, 10_000)]


def must_have_its_tree(engine: Engine) -> Frontier:
    """The tables have the tree of the whole log."""
    expected = leaves_of(engine)
    frontier, completed = Frontier().extended(each.hash for each in expected)
    with engine.snapshot() as tx:
        found = kept.tree(tx)
        assert found.frontier == frontier
        assert found.position == (expected[-1].position if expected else 0)
        assert found.grown
        assert kept.leaves(tx, 0, 10_000) == expected
        nodes = tx.execute(kept.ALL_NODES).fetchall()
    assert [(level, place, bytes(each)) for level, place, each in nodes] == sorted(completed)
    return frontier


def without_tree(store: Store) -> None:
    """As a version without trees left it."""
    nothing = "x''" if store.engine.name == "sqlite" else "''"
    statements = [*FORGET, AS_BEFORE.format(nothing=nothing)]
    vandalize(store, statements)


def vandalize(store: Store, statements: list[str]) -> None:
    """Change tables as nobody may who has not the rights of an owner."""
    if store.engine.name == "sqlite":
        with sqlite3.connect(store.path) as plain:
            rows = plain.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            triggers = rows.fetchall()
            for name, _ in triggers:
                plain.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                plain.execute(statement)
            for _, sql in triggers:
                plain.execute(sql)
        plain.close()
        return
    tables = ("stored_events", "log_leaves", "log_nodes")
    with psycopg.connect(store.url) as owner:
        for each in tables:
            owner.execute(f"ALTER TABLE {each} DISABLE TRIGGER USER".encode())
        for statement in statements:
            owner.execute(statement.encode())
        for each in tables:
            owner.execute(f"ALTER TABLE {each} ENABLE TRIGGER USER".encode())


def test_what_the_writer_appends_has_its_leaves(store: Store) -> None:
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
        for future in queue(writer, [creating(f"c{number}") for number in range(20)]):
            future.result(60)
        done(writer, fleet_commands.remove_cluster, "web")
    assert must_have_its_tree(store.engine).size == len(store.topics())


def test_a_batch_that_was_rolled_back_leaves_no_leaf(store: Store) -> None:
    log = LogRecorder(store.engine)
    log.insert_events(events(3))
    with store.engine.append(10) as appending:
        places = recorder.insert(appending.tx, appending.head, events(1, 4))
        kept.extend(appending.tx, 3, recorder.leaves(places, events(1, 4)))
    log.insert_events(events(2, 4))  # PostgreSQL has a gap in its positions now
    assert must_have_its_tree(store.engine).size == 5


@pytest.mark.parametrize("at_once", [1, 7, 255, 256, 257, ROWS])
def test_a_tree_is_the_same_however_it_was_appended(sqlite_store: Store, at_once: int) -> None:
    log = LogRecorder(sqlite_store.engine)
    for first in range(1, ROWS + 1, at_once):
        log.insert_events(events(min(at_once, ROWS + 1 - first), first))
    assert must_have_its_tree(sqlite_store.engine).size == ROWS


def test_an_existing_log_gets_its_tree_while_it_is_written(store: Store) -> None:
    log = LogRecorder(store.engine)
    log.insert_events(events(ROWS))
    without_tree(store)
    log.insert_events(events(1, ROWS + 1))
    with store.engine.snapshot() as tx:
        assert kept.tree(tx) == kept.EMPTY
    version = ROWS + 2
    while chunk := growth.next_chunk(store.engine, 100):
        log.insert_events(events(1, version))  # while it is hashed
        version += 1
        with store.engine.append(10) as appending:
            growth.add(appending.tx, chunk)
            growth.add(appending.tx, chunk)  # and somebody else who made it, too
            appending.commit()
        assert version < 2 * ROWS
    log.insert_events(events(1, version))
    assert must_have_its_tree(store.engine).size == version
    growth.grow(store.engine)
    assert must_have_its_tree(store.engine).size == version


def test_what_a_version_without_trees_appends_is_added_later(store: Store) -> None:
    log = LogRecorder(store.engine)
    log.insert_events(events(3))
    with store.engine.append(10) as appending:
        recorder.insert(appending.tx, appending.head, events(2, 4))
        appending.commit()
    log.insert_events(events(1, 6))
    with store.engine.snapshot() as tx:
        assert kept.tree(tx).frontier.size == 3
    growth.grow(store.engine)
    assert must_have_its_tree(store.engine).size == 6


def test_every_position_and_every_size_is_proved_from_the_tables(store: Store) -> None:
    LogRecorder(store.engine).insert_events(events(ROWS))
    leaves = leaves_of(store.engine)
    with store.engine.snapshot() as tx:
        size, root = ROWS, kept.tree(tx).frontier.root
        assert kept.root_at(tx, size) == root
        for number in (0, 1, 254, 255, 256, 300, 511, 512, 598, 599):
            assert kept.leaf_of(tx, leaves[number].position, size) == number
            path = kept.inclusion(tx, number, size)
            assert path.root == root
            assert proofs.includes(leaves[number].hash, number, size, path.hashes, root)
        for older in (0, 1, 2, 255, 256, 257, 512, 513, 599, 600):
            earlier = kept.root_at(tx, older)
            assert earlier == Frontier().extended(each.hash for each in leaves[:older])[0].root
            path = kept.consistency(tx, older, size)
            assert (path.root, path.older_root) == (root, earlier)
            assert proofs.continues(older, earlier, size, root, path.hashes)
        assert kept.leaf_of(tx, 0, size) is None
        assert kept.leaf_of(tx, leaves[-1].position + 1, size) is None
        assert kept.leaf_of(tx, leaves[20].position, 20) is None
        with pytest.raises(BrokenTree):
            kept.root_at(tx, ROWS + 1)


def test_a_broken_tree_holds_up_no_change(store: Store) -> None:
    LogRecorder(store.engine).insert_events(events(3))
    vandalize(store, ["UPDATE log_frontier SET size = 4"])
    LogRecorder(store.engine).insert_events(events(1, 4))
    with store.engine.snapshot() as tx, pytest.raises(BrokenTree, match="4 leaves has 64 bytes"):
        kept.tree(tx)
    vandalize(
        store, ["UPDATE log_frontier SET size = -1, hashes = (SELECT hash FROM log_leaves LIMIT 1)"]
    )
    LogRecorder(store.engine).insert_events(events(1, 5))
    with store.engine.snapshot() as tx, pytest.raises(BrokenTree, match="-1 leaves"):
        kept.tree(tx)


def test_whoever_judges_fault_runs_sees_a_leaf_that_is_wrong(store: Store) -> None:
    Vault(b"k" * 32).open(store.engine)
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
    must_be_whole(store.url)
    for statement in (
        "UPDATE log_leaves SET position = position + 1",
        "UPDATE log_frontier SET hashes = (SELECT hash FROM log_leaves LIMIT 1), size = 8",
        "DELETE FROM log_leaves",
    ):
        vandalize(store, [statement])
        with pytest.raises(AssertionError):
            must_be_whole(store.url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_leaves SET hash = hash",
        "DELETE FROM log_leaves",
        "UPDATE log_nodes SET hash = hash",
        "DELETE FROM log_nodes",
    ],
)
def test_leaves_are_append_only(store: Store, statement: str) -> None:
    LogRecorder(store.engine).insert_events(events(ROWS))
    with pytest.raises(Exception, match="append-only"), store.engine.append(10) as appending:
        appending.tx.execute(statement)


def test_rows_that_differ_have_other_leaves() -> None:
    row = (1, "2026", "host/a", 1, "host.removed", b"{}")
    others = [
        (2, *row[1:]),
        (1, "2027", *row[2:]),
        (1, "2026", "host/b", *row[3:]),
        (1, "2026", "host/a", 2, *row[4:]),
        (1, "2026", "host/a", 1, "host.remove", b"d{}"),
        (1, "2026", 'host/a",1', 1, "host.removed", b"{}"),
        (1, "2026", "host/a", 1, "host.removed", b'{},"x"'),
        (1, "2026", "host/a", 1, "host.removed", b"\xff\n"),
    ]
    assert leaf(*row) == b'[1,"2026","host/a",1,"host.removed",{}]'
    assert len({leaf(*each) for each in (row, *others)}) == len(others) + 1


def test_a_proof_does_not_take_longer_in_a_long_log(sqlite_store: Store) -> None:
    log = LogRecorder(sqlite_store.engine)
    log.insert_events(events(20_000))
    asked = 0

    class Counting:
        """A transaction that counts what it is asked."""

        engine, server, place = "sqlite", None, ""

        def __init__(self, tx: object) -> None:
            self.tx = tx

        def execute(self, sql: str, params: object = ()) -> object:
            nonlocal asked
            asked += 1
            return self.tx.execute(sql, params)  # type: ignore[attr-defined]

    begun = time.monotonic()
    with sqlite_store.engine.snapshot() as tx:
        counting = Counting(tx)
        kept.inclusion(counting, 12_345, 20_000)  # type: ignore[arg-type]
    assert asked <= 6
    assert time.monotonic() - begun < 60
