"""An existing log gets its Merkle tree beside the work of the service, and holds nobody up."""

import asyncio
from typing import Any

import pytest

from domain.commands import fleet_commands
from domain.log.recorder import now
from domain.log.tree import kept
from runners.cli.log.check import check
from runners.database import tree_builder
from runners.database.tree_builder import TreeBuilder
from tests.domain.log.tree.test_kept import must_have_its_tree, vandalize, without_tree
from tests.domain.log.writing import creating, queue
from tests.runners.database.test_checkpointer import ended
from tests.support.service import wait_for
from tests.support.stores import WAIT_TIMEOUT_S, Store, done, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

ROWS = 1200


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait."""
    monkeypatch.setattr(tree_builder, "LOOK_EVERY_S", 0.01)


def fill(store: Store, rows: int) -> None:
    """Events that the read models know."""
    with store.writer() as writer:
        for future in queue(writer, [creating(f"filled{number}") for number in range(rows)]):
            future.result(WAIT_TIMEOUT_S)


def size(store: Store) -> int:
    """How many leaves there are."""
    with store.engine.snapshot() as tx:
        found = kept.tree(tx)
    return found.frontier.size if found.grown else -1


async def test_it_makes_the_tree_of_an_existing_log_while_that_is_written(store: Store) -> None:
    await asyncio.to_thread(fill, store, ROWS)
    without_tree(store)
    lines: list[dict[str, Any]] = []
    with store.writer() as writer:
        builder = TreeBuilder(
            store.engine, writer, now, lambda name, **told: lines.append({"name": name, **told})
        )
        task = asyncio.create_task(builder.run())
        for number in range(30):
            await asyncio.to_thread(
                done, writer, fleet_commands.create_cluster, f"c{number}", "default", ""
            )
        total = len(store.topics())
        await asyncio.to_thread(wait_for, lambda: size(store) == total)
        await asyncio.to_thread(wait_for, lambda: bool(lines))  # said after a pause
        assert not builder.broken
        await ended(task)
    must_have_its_tree(store.engine)
    assert [line["name"] for line in lines] == ["log.tree_made"]


async def test_rows_of_a_version_without_trees_are_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(fill, store, 10)
    before = len(store.topics())
    with monkeypatch.context() as older:
        older.setattr(kept, "extend", lambda tx, head, leaves: None)
        with store.writer() as writer:
            await asyncio.to_thread(done, writer, fleet_commands.remove_cluster, "filled3")
    assert size(store) == before
    lines: list[str] = []
    with store.writer() as writer:
        builder = TreeBuilder(store.engine, writer, now, lambda name, **told: lines.append(name))
        task = asyncio.create_task(builder.run())
        await asyncio.to_thread(wait_for, lambda: size(store) == before + 1)
        await asyncio.to_thread(wait_for, lambda: bool(lines))
        await ended(task)
    must_have_its_tree(store.engine)
    assert lines[0] == "log.not_ours"


async def test_a_broken_tree_is_told_and_no_change_waits(store: Store) -> None:
    await asyncio.to_thread(fill, store, 10)
    vandalize(store, ["UPDATE log_frontier SET size = 4"])
    with store.writer() as writer:
        builder = TreeBuilder(store.engine, writer, now, lambda name, **told: None)
        task = asyncio.create_task(builder.run())
        await asyncio.to_thread(wait_for, lambda: bool(builder.broken))
        await asyncio.to_thread(done, writer, fleet_commands.create_cluster, "c", "default", "")
        await ended(task)
    assert "4 leaves" in builder.broken


async def test_leaves_that_somebody_put_in_hold_up_no_change(store: Store) -> None:
    await asyncio.to_thread(fill, store, 254)
    forged = "SELECT 255, 256, hash FROM log_leaves WHERE leaf = 1"
    node = "SELECT 8, 0, hash FROM log_leaves WHERE leaf = 1"
    vandalize(store, [f"INSERT INTO log_leaves {forged}", f"INSERT INTO log_nodes {node}"])
    await asyncio.to_thread(fill_more, store, 5)
    assert size(store) == len(store.topics())
    assert "Position 256 was altered" in check(store.engine).wrong


def fill_more(store: Store, rows: int) -> None:
    """One commit after the other."""
    with store.writer() as writer:
        for number in range(rows):
            done(writer, fleet_commands.create_cluster, f"more{number}", "default", "")


async def test_a_frontier_that_was_deleted_is_made_anew_by_the_next_start(store: Store) -> None:
    await asyncio.to_thread(fill, store, 10)
    vandalize(store, ["DELETE FROM log_frontier"])
    with store.writer() as writer:
        builder = TreeBuilder(store.engine, writer, now, lambda name, **told: None)
        task = asyncio.create_task(builder.run())
        await asyncio.to_thread(wait_for, lambda: "frontier" in builder.broken)
        await asyncio.to_thread(fill_more, store, 1)
        store.create()  # as a start does
        total = len(store.topics())
        await asyncio.to_thread(wait_for, lambda: size(store) == total)
        await asyncio.to_thread(wait_for, lambda: not builder.broken)
        await ended(task)
    must_have_its_tree(store.engine)
