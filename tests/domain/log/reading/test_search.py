"""Pages of the log: every event that a filter lets through, once, in order; each page is short."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.event import Act
from domain.log import recorder
from domain.log.mapper import to_event
from domain.log.reading import backwards, search
from domain.log.reading.search import Filter, last_recorded, page
from domain.log.recorder import Entry
from tests.support.stores import COMMAND_TIMEOUT_S, Store

BYTES_MAX = 1_000_000
SUBJECTS = ("cluster/web", "cluster/db", "cluster/nowhere")
ACTORS = ("alice", 'b"ob', "runner:x")


@pytest.fixture
def mixed(store: Store) -> Store:
    """A log of several subjects, types, actors and times."""
    with store.writer() as writer:

        def do(number: int, name: str, verb: str) -> None:
            act = Act(ACTORS[number % len(ACTORS)], f"r-{number}", recorder.now())

            def command(unit: Any) -> None:
                cluster = unit.cluster(name)
                if verb == "create":
                    cluster.create("default", "")
                else:
                    cluster.remove()

            writer.submit(act, command).result(COMMAND_TIMEOUT_S)

        for number in range(20):
            name = ("web", "db", "cache")[number % 3]
            do(number, name, "create" if number // 3 % 2 == 0 else "remove")
    return store


def everything(store: Store) -> list[Entry]:
    with store.engine.snapshot() as tx:
        return recorder.entries(tx, 0, 1_000_000)


def lets_through(which: Filter, entry: Entry) -> bool:
    """What a filter means, said once more."""
    return (
        (not which.subjects or entry.stored.originator_id in which.subjects)
        and which.type in (None, entry.stored.topic)
        and which.actor in (None, to_event(entry.stored).actor)
        and (which.since is None or entry.recorded_at >= which.since)
        and (which.until is None or entry.recorded_at <= which.until)
    )


def optional(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck])
def test_pages_together_are_what_the_filter_lets_through(mixed: Store, data: st.DataObject) -> None:
    entries = everything(mixed)
    times = [entry.recorded_at for entry in entries] + ["0", "9999"]
    which = Filter(
        tuple(data.draw(st.lists(st.sampled_from(SUBJECTS), max_size=3, unique=True))),
        data.draw(optional(["cluster.created", "cluster.removed", "host.failed"])),
        data.draw(optional([*ACTORS, "nobody"])),
        data.draw(optional(times)),
        data.draw(optional(times)),
    )
    after = data.draw(st.integers(0, entries[-1].position + 2))
    limit = data.draw(st.integers(1, 8))
    bytes_max = data.draw(st.sampled_from([1, 200, BYTES_MAX]))
    wanted = [e for e in entries if e.position > after and lets_through(which, e)]
    found: list[Entry] = []
    with pytest.MonkeyPatch.context() as patch, mixed.engine.snapshot() as tx:
        examined = data.draw(st.integers(1, 7))
        patch.setattr(search, "EXAMINED_MAX", examined)
        patch.setattr(search, "CHUNK_EVENTS", data.draw(st.integers(1, 3)))
        more = True
        while more:
            one = page(tx, which, after, limit, bytes_max)
            assert len(one.entries) <= limit
            assert one.position > after or not one.more
            assert all(after < entry.position <= one.position for entry in one.entries)
            found += one.entries
            after, more = one.position, one.more
    assert found == wanted


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck])
def test_pages_backwards_together_are_the_same_the_other_way_round(
    mixed: Store, data: st.DataObject
) -> None:
    entries = everything(mixed)
    times = [entry.recorded_at for entry in entries] + ["0", "9999"]
    which = Filter(
        tuple(data.draw(st.lists(st.sampled_from(SUBJECTS), max_size=1))),
        data.draw(optional(["cluster.created", "cluster.removed", "host.failed"])),
        data.draw(optional([*ACTORS, "nobody"])),
        data.draw(optional(times)),
        data.draw(optional(times)),
    )
    before = data.draw(st.integers(1, entries[-1].position + 2))
    limit = data.draw(st.integers(1, 8))
    wanted = [e for e in reversed(entries) if e.position < before and lets_through(which, e)]
    found: list[Entry] = []
    with pytest.MonkeyPatch.context() as patch, mixed.engine.snapshot() as tx:
        patch.setattr(backwards, "EXAMINED_MAX", data.draw(st.integers(1, 7)))
        patch.setattr(backwards, "CHUNK_EVENTS", data.draw(st.integers(1, 3)))
        more = True
        while more:
            one = backwards.page(tx, which, before, limit)
            assert len(one.entries) <= limit
            assert one.position < before or not one.more
            assert all(one.position <= entry.position < before for entry in one.entries)
            found += one.entries
            before, more = one.position, one.more
    assert found == wanted


def test_a_moment_is_the_position_that_the_log_had_then(mixed: Store) -> None:
    entries = everything(mixed)
    with mixed.engine.snapshot() as tx:
        for moment in [entry.recorded_at for entry in entries] + ["", "9999"]:
            by = [e.position for e in entries if e.recorded_at <= moment]
            before = [e.position for e in entries if e.recorded_at < moment]
            assert last_recorded(tx, moment) == (by[-1] if by else 0)
            assert last_recorded(tx, moment, before=True) == (before[-1] if before else 0)


def test_an_empty_log_has_an_empty_page(store: Store) -> None:
    with store.engine.snapshot() as tx:
        assert last_recorded(tx, "9999") == 0
        for which in (
            Filter(),
            Filter(("cluster/web",)),
            Filter(("a", "b")),
            Filter(actor="alice", since="1"),
        ):
            assert page(tx, which, 0, 10, BYTES_MAX) == ([], 0, False)


def test_every_event_class_is_known_to_whoever_reads_the_log() -> None:
    import pkgutil
    from importlib import import_module

    import domain
    from domain.all_events import MODULES
    from domain.event import Event

    names = [module.__name__ for module in MODULES]
    for found in pkgutil.walk_packages(domain.__path__, "domain."):
        module = import_module(found.name)
        own = [
            thing
            for thing in vars(module).values()
            if isinstance(thing, type)
            and issubclass(thing, Event)
            and thing is not Event
            and thing.__module__ == found.name
        ]
        assert not own or found.name in names, f"{found.name} is missing in domain/all_events.py"
