"""Checkpoints make questions about the past quick, and change no answer: whole, damaged or gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log import recorder
from domain.log.recorder import now
from projections import clusters, hosts
from projections.hosts import Filter
from projections.past import checkpoints
from projections.past.checkpoints import (
    BYTES_MAX,
    COUNT_MAX,
    INTERVAL_EVENTS,
    VERSION,
    Checkpoint,
    plan,
)
from projections.past.past import FLEET, Scratch, advance
from projections.past.past_reads import Fleets
from runners.database.checkpointer import Checkpointer
from tests.projections.histories import carry_out, random_history
from tests.support.stores import Store

EVERY = 16


@pytest.fixture
def grown(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose log has checkpoints, in several pieces each."""
    monkeypatch.setattr(checkpoints, "INTERVAL_EVENTS", EVERY)
    monkeypatch.setattr(checkpoints, "PIECE_BYTES", 512)
    carry_out(store, random_history(3, 150))
    make(store)
    return store


def make(store: Store) -> None:
    """Bring the checkpoints up to date."""
    with store.writer() as writer:
        Checkpointer(store.engine, writer, now, pause_s=0).catch_up()


def kept(store: Store) -> list[Checkpoint]:
    """All that there are."""
    with store.engine.snapshot() as tx:
        assert checkpoints.leftovers(tx) == []
        return checkpoints.all_of_them(tx)


def resumed(store: Store, up_to: int) -> int:
    """From where a question about a position goes on."""
    scratch = Scratch(FLEET)
    with store.engine.snapshot() as tx:
        checkpoints.resume(tx, scratch, up_to)
    return scratch.position


def execute(store: Store, sql: str, *params: object) -> None:
    """Do something behind everybody's back."""
    with store.engine.append(5) as appending:
        appending.tx.execute(sql, params)
        appending.commit()


def must_answer_right(store: Store) -> None:
    """The fleet as of now, and at each position where there is a checkpoint or could be."""
    with store.engine.snapshot() as tx:
        head = recorder.head(tx).position
        listed = hosts.hosts(tx, Filter())
    assert Fleets(store.engine).ask(head, hosts.hosts, Filter(), breathe=lambda: None) == listed
    for position in range(EVERY, head, EVERY):
        scratch = Scratch(FLEET)
        advance(store.engine, scratch, position)
        for query, args in ((hosts.hosts, (Filter(),)), (clusters.names, ())):
            found = Fleets(store.engine).ask(position, query, *args, breathe=lambda: None)
            assert found == query(scratch.tx, *args)


def test_a_question_goes_on_from_the_last_one_before_it(grown: Store) -> None:
    places = [each.position for each in kept(grown)]
    assert len(places) > 4
    assert places == [EVERY * number for number in range(1, len(places) + 1)]
    assert {each.version for each in kept(grown)} == {VERSION}
    assert min(each.pieces for each in kept(grown)) > 1
    assert resumed(grown, EVERY - 1) == 0
    assert resumed(grown, EVERY) == EVERY
    assert resumed(grown, 3 * EVERY - 1) == 2 * EVERY
    must_answer_right(grown)


def test_what_is_there_is_not_made_again(grown: Store) -> None:
    before = kept(grown)
    make(grown)
    assert kept(grown) == before
    carry_out(grown, random_history(4, 60))
    make(grown)
    assert kept(grown)[: len(before)] == before
    assert len(kept(grown)) > len(before)


def test_those_of_another_version_are_not_used_and_dropped(grown: Store) -> None:
    count = len(kept(grown))
    execute(grown, "UPDATE checkpoints SET version = 'of tomorrow'")
    assert resumed(grown, 10_000) == 0
    must_answer_right(grown)
    make(grown)
    assert [each.version for each in kept(grown)] == [VERSION] * count
    must_answer_right(grown)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM checkpoint_pieces WHERE piece = 1",
        "DELETE FROM checkpoint_pieces",
        "UPDATE checkpoint_pieces SET content = content || content WHERE piece = 0",
        "UPDATE checkpoint_pieces SET content = (SELECT state FROM stored_events LIMIT 1)",
    ],
)
def test_a_damaged_one_is_as_if_it_were_not_there(grown: Store, damage: str) -> None:
    if "||" in damage and grown.engine.name == "sqlite":
        damage = damage.replace("content || content", "CAST(content || content AS BLOB)")
    execute(grown, damage)
    assert resumed(grown, 10_000) == 0
    must_answer_right(grown)


def test_what_was_left_half_written_is_tidied_up(grown: Store) -> None:
    before = kept(grown)
    execute(grown, "INSERT INTO checkpoint_pieces VALUES ('of one that was killed', 0, ?)", b"x")
    make(grown)
    assert kept(grown) == before


def test_one_whose_piece_was_tidied_up_meanwhile_does_not_count(grown: Store) -> None:
    scratch = Scratch(FLEET)
    advance(grown.engine, scratch, EVERY + 1)
    pieces = checkpoints.Pieces(scratch)
    with grown.engine.append(5) as appending:
        for number, content in pieces:
            pieces.keep_piece(appending.tx, number, content)
        checkpoints.drop_piece(appending.tx, pieces.image, 0)
        pieces.finish(appending.tx)
        appending.commit()
    with grown.engine.snapshot() as tx:
        assert EVERY + 1 not in [each.position for each in checkpoints.all_of_them(tx)]


def test_a_database_that_never_had_any_is_asked_from_the_beginning(grown: Store) -> None:
    for table in ("checkpoints", "checkpoint_pieces"):
        execute(grown, f"DROP TABLE {table}")
    assert resumed(grown, 10_000) == 0
    must_answer_right(grown)


@given(st.lists(st.tuples(st.integers(1, 200_000), st.integers(1, 4 * 1024 * 1024)), max_size=60))
def test_there_are_never_too_many_and_what_is_made_stays(growth: list[tuple[int, int]]) -> None:
    """However the log grows, by so many events at a time, and the images, of such a size."""
    head = 0
    known: dict[int, Checkpoint] = {}
    for events, size in growth:
        head += events
        made: set[int] = set()
        for _ in range(10 * COUNT_MAX):
            missing, obsolete = plan(head, [known[position] for position in sorted(known)])
            for position in obsolete:
                del known[position]
            if not missing:
                break
            assert missing[0] not in made, "made again and again"
            made.add(missing[0])
            known[missing[0]] = Checkpoint(missing[0], VERSION, "", 1, size)
        places = sorted(known)
        assert plan(head, [known[position] for position in places]) == ([], [])
        assert len(places) <= COUNT_MAX
        assert sum(each.bytes for each in known.values()) <= BYTES_MAX or len(places) == 1
        if places:
            # Evenly: from one to the next, and from the last to the end.
            step = places[0]
            assert step % INTERVAL_EVENTS == 0
            assert places == list(range(step, head + 1, step))
