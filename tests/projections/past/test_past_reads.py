"""However many ask about the past, and however long it takes, the service goes on."""

import asyncio
import threading
import time

import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engine import OperationalError
from domain.refusal import Refusal
from projections import clusters, hosts
from projections.past import past_reads
from projections.past.past import Breath
from projections.past.past_reads import FLEETS_KEPT, Fleets, Lane, PastReads
from tests.projections.histories import carry_out, random_history
from tests.support.stores import WAIT_TIMEOUT_S, Store, done

WAITING = 3


class Held:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.count = 0

    def __call__(self, deadline: float) -> int:
        self.begun.set()
        assert self.let_go.wait(WAIT_TIMEOUT_S)
        self.count += 1
        return self.count


async def test_whoever_finds_too_many_waiting_is_refused_at_once() -> None:
    lane, held = Lane(1, WAITING), Held()
    asking = [asyncio.create_task(lane.run(held)) for _ in range(1 + WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match="Too many ask about the past") as refused:
        await lane.run(held)
    assert refused.value.kind == "unavailable"
    held.let_go.set()
    assert sorted(await asyncio.gather(*asking)) == [1, 2, 3, 4]
    assert await lane.run(held) == 5
    lane.close()


async def test_whoever_leaves_gives_up_the_place_but_not_what_runs() -> None:
    lane, held = Lane(1, WAITING), Held()
    asking = [asyncio.create_task(lane.run(held)) for _ in range(1 + WAITING)]
    await asyncio.to_thread(held.begun.wait, WAIT_TIMEOUT_S)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    others = [asyncio.create_task(lane.run(held)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal):  # the thread is still at it
        await lane.run(held)
    held.let_go.set()
    assert await asyncio.gather(*others) == [2, 3, 4]
    lane.close()


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_reads, "LIMIT_S", 0.01)
    lane, held = Lane(1, WAITING), Held()
    with pytest.raises(OperationalError, match="in time"):
        await lane.run(held)
    held.let_go.set()
    lane.close()
    with pytest.raises(Refusal, match="stopping"):
        await lane.run(held)


def test_a_long_work_pauses_and_ends_at_its_deadline() -> None:
    breathe = Breath(work_s=0, pause_s=0.001, deadline=time.monotonic() + 0.01)

    def work() -> None:
        while True:
            breathe()

    with pytest.raises(OperationalError, match="in time"):
        work()


async def test_pages_of_one_list_are_folded_once_and_forgotten_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(3, 60))
    with store.engine.snapshot() as tx:
        head = recorder.head(tx).position
    fleets = Fleets(store.engine)

    def folded(position: int) -> int:
        """How often the log was read for a question."""
        reads = 0
        snapshot = store.engine.snapshot

        def counted() -> object:
            nonlocal reads
            reads += 1
            return snapshot()

        with monkeypatch.context() as patched:
            patched.setattr(store.engine, "snapshot", counted)
            fleets.ask(position, hosts.hosts, hosts.Filter(limit=1), breathe=lambda: None)
        return reads

    assert folded(head) > 0
    assert folded(head) == folded(head) == 0
    for position in range(1, FLEETS_KEPT + 1):
        assert folded(position) > 0
    assert folded(head) > 0, "the one that nobody asked for the longest was forgotten"
    fleets.forget()
    assert folded(head) == 0, "somebody asked for it a moment ago"
    monkeypatch.setattr(past_reads, "FLEETS_KEPT_S", 0)
    fleets.forget()
    assert folded(head) > 0


async def test_many_at_once_are_all_told_right(store: Store) -> None:
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
    past = PastReads(store.engine)
    moment = recorder.now()
    asking = [past.members(moment, clusters.members, "web") for _ in range(20)]
    asking += [past.cluster(moment, clusters.cluster, "web") for _ in range(20)]
    names = [past.fleet(moment, clusters.names) for _ in range(5)]
    answers = await asyncio.gather(*asking)
    assert {told.found.body for told in answers[:20] if told.found} == {b"[]"}
    assert len({told.found.body for told in answers[20:] if told.found}) == 1
    assert {told.found for told in await asyncio.gather(*names)} == {b'["web"]'}
    assert {told.tag for told in answers} == {await past.tag(moment)}
    past.close()
