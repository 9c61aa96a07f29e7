"""`commissaire log check` holds the log against its Merkle tree, and names the first position that
is not as it was."""

import pytest

from domain.log import recorder
from domain.log.recorder import LogRecorder
from runners.cli.log.check import check
from tests.domain.log.tree.test_kept import events, vandalize, without_tree
from tests.support.stores import Store, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

ROWS = 600
SWAP = (
    "UPDATE stored_events SET originator_version = -{0} WHERE position = {0}",
    "UPDATE stored_events SET originator_version = {0} WHERE position = {1}",
    "UPDATE stored_events SET originator_version = {1} WHERE position = {0}",
)


@pytest.fixture
def filled(store: Store) -> Store:
    """A log with two whole subtrees, and some rows."""
    LogRecorder(store.engine).insert_events(events(ROWS))
    return store


def wrong(store: Store) -> str:
    """What is said; read models are another matter."""
    return check(store.engine).wrong


@pytest.mark.parametrize("position", [1, 256, 257, 599, 600])
def test_an_altered_state_is_named_at_its_position(filled: Store, position: int) -> None:
    state = "x'7b7d'" if filled.engine.name == "sqlite" else "'{}'"
    altered = f"UPDATE stored_events SET state = {state} WHERE position >= {position}"  # noqa: S608 - our own
    vandalize(filled, [altered])
    assert f"Position {position} was altered" in wrong(filled)


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (
            ["UPDATE stored_events SET topic = 'host.kept' WHERE position = 7"],
            "Position 7 was altered",
        ),
        (
            ["UPDATE log_leaves SET position = 9999 WHERE leaf = 599"],
            "Position 600 was put in",
        ),
        (["UPDATE log_leaves SET position = 0 WHERE leaf = 299"], "Position 0 is missing"),
        (["DELETE FROM log_leaves WHERE leaf = 300"], "leaf 300 is not there"),
        (["DELETE FROM log_leaves WHERE leaf = 599"], "leaf 599 is not there"),
        (["UPDATE log_nodes SET place = 7 WHERE place = 1"], "node 1 of level 8 was altered"),
        (["DELETE FROM log_frontier"], "its frontier is not there"),
        (
            ["INSERT INTO log_leaves SELECT 600, 601, hash FROM log_leaves WHERE leaf = 1"],
            "leaf 600 was put in after its end",
        ),
        (
            ["INSERT INTO log_nodes SELECT 8, 2, hash FROM log_nodes WHERE place = 1"],
            "node 2 of level 8 was put in after its end",
        ),
        (["UPDATE log_frontier SET size = 1"], "The tree of the log cannot be used"),
        (
            ["UPDATE log_frontier SET size = 513, hashes = hashes WHERE size = 600"],
            "The tree of the log cannot be used",
        ),
    ],
)
def test_what_does_not_fit_is_named(filled: Store, statements: list[str], sentence: str) -> None:
    vandalize(filled, statements)
    assert sentence in wrong(filled)


def test_two_events_that_were_swapped_are_named(filled: Store) -> None:
    # Of their stream as well, so that its versions run without a hole.
    vandalize(filled, [statement.format(300, 301) for statement in SWAP])
    assert "Position 300" in wrong(filled)


def test_a_row_without_a_leaf_is_named_once_the_tree_had_come_so_far(filled: Store) -> None:
    forged = events(1, ROWS + 1)[0]
    with filled.engine.append(10) as appending:
        recorder.insert(appending.tx, appending.head, [forged])
        appending.commit()
    assert "What follows position 600 is not in the tree" in wrong(filled)


def test_a_log_without_a_tree_is_whole_as_far_as_it_has_one(filled: Store) -> None:
    without_tree(filled)
    found = check(filled.engine)
    assert (found.wrong, found.events, found.leaves) == ("", ROWS, 0)


def test_how_much_was_compared_is_told(filled: Store) -> None:
    found = check(filled.engine)
    assert (found.wrong, found.events, found.leaves) == ("", ROWS, ROWS)
