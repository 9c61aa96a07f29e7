"""Container managers are told which hosts are their nodes, sooner or later, on both engines."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import pytest

from domain.aggregates import container_manager_events as events
from domain.commands import fleet_commands, node_outcomes
from domain.log.unit import Unit
from domain.refusal import conflict
from runners.container_managers import node_registrar
from runners.leases.ownership import EVERYTHING, Gained, Lost, SingleProcess
from runners.observability import metrics
from runners.scheduling.backoff import Pauses
from tests.runners.container_managers.conftest import TOKEN
from tests.runners.container_managers.play import QUICK, Play
from tests.runners.container_managers.server import ApiServer, Fault
from tests.runners.stage import until
from tests.support.certificates import Authority
from tests.support.stores import Store, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

A, B = "10.0.0.1", "10.0.0.2"
MANY = 60

T = TypeVar("T")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(node_registrar, "PAUSES", QUICK)


@pytest.fixture
async def play(store: Store, server: ApiServer) -> AsyncIterator[Play]:
    """A registrar that runs, and a cluster `web` of `server`."""
    async with Play(store).opened() as play:
        await play.manage(server)
        yield play


async def test_a_member_is_registered_and_active_and_removed_when_it_leaves(
    play: Play, server: ApiServer
) -> None:
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    assert list(server.objects.nodes) == [A]
    await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
    assert play.host(A).status == "disassociated"
    await until(lambda: not server.objects.nodes)
    await until(lambda: not play.pending_node_changes())
    assert not play.lines


async def test_a_cluster_that_is_removed_takes_its_own_nodes_and_nobody_elses(
    play: Play, server: ApiServer
) -> None:
    await play.do(lambda unit: fleet_commands.create_cluster(unit, "db", "default", "prod"))
    server.objects.create_node(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "10.0.0.9"}}
    )
    for address, cluster in ((A, "web"), ("10.0.0.9", "web"), (B, "db")):
        await play.member(address, cluster)
    await until(lambda: not play.pending_node_changes())
    assert play.host("10.0.0.9").status == "active", "its kubelet was quicker"
    await play.do(lambda unit: fleet_commands.remove_cluster(unit, "web"))
    await until(lambda: not play.pending_node_changes())
    assert sorted(server.objects.nodes) == [B, "10.0.0.9"]
    ends = [event for event in play.log() if isinstance(event, events.NodeRemoved)]
    assert sorted(ends, key=lambda e: e.address) == [
        events.NodeRemoved(A),
        events.NodeRemoved("10.0.0.9", left=True),
    ]


async def test_a_manager_that_is_down_is_told_later(play: Play, server: ApiServer) -> None:
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    with server.away():
        await play.member(B)
        await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
        await until(lambda: play.told("container_manager.failed"))
        assert play.host(B).status == "disassociated"
    await until(lambda: play.host(B).status == "active")
    await until(lambda: list(server.objects.nodes) == [B])
    await until(lambda: play.told("container_manager.answers_again"))
    reasons = [line["reason"] for line in play.told("container_manager.failed")]
    assert len(reasons) == len(set(reasons)), "each reason is said once"


async def test_many_hosts_do_not_each_ask_a_manager_that_is_down(
    play: Play, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.away():
        await play.member(A)
        await until(lambda: play.told("container_manager.failed"))
        failed = play.managers.results["prod"]["unreachable"]
        monkeypatch.setattr(node_registrar, "PAUSES", Pauses(3600.0, 3600.0))
        await play.member(B)
        await until(lambda: play.managers.results["prod"]["unreachable"] > failed)
        asked = play.managers.results["prod"]["unreachable"]
        for number in range(MANY):
            await play.member(f"10.0.1.{number}")
        await until(lambda: play.registrar.waiting >= MANY)
    assert play.managers.results["prod"]["unreachable"] <= asked + 2
    assert len(play.pending_node_changes()) == MANY + 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401),
        Fault(status=403),
        Fault(status=409),
        Fault(status=429, after_s=0),
        Fault(status=500),
        Fault(cut=True),
        Fault(lost=True),
        Fault(body=b"junk"),
    ],
    ids=lambda fault: str(fault.status or ("cut" if fault.cut else "lost" if fault.lost else "?")),
)
async def test_whatever_a_manager_answers_it_is_asked_again_until_it_is_so(
    fault: Fault, play: Play, server: ApiServer
) -> None:
    for verb in ("POST", "DELETE"):
        server.befall(verb, "/nodes", fault, fault)
    server.befall("GET", "/nodes", fault)
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    assert list(server.objects.nodes) == [A]
    await play.do(lambda unit: fleet_commands.remove_host(unit, play.vault, A))
    await until(lambda: not play.pending_node_changes())
    assert not server.objects.nodes
    assert all(TOKEN not in str(line) for line in play.lines)


async def test_one_host_that_is_refused_holds_up_no_other(play: Play, server: ApiServer) -> None:
    server.befall("POST", "/nodes", *[Fault(status=403)] * 3)
    await play.member(A)
    await play.member(B)
    await until(lambda: {play.host(a).status for a in (A, B)} == {"active"})


async def test_what_was_not_told_before_a_crash_is_told_after_it(
    store: Store, server: ApiServer
) -> None:
    play = Play(store)
    async with play.opened(told=False):
        await play.manage(server)
        await play.member(A)
        await play.member(B)
    async with play.opened():
        await until(lambda: {play.host(a).status for a in (A, B)} == {"active"})
    async with play.opened(told=False):
        await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
        assert len(server.objects.nodes) == 2
    async with play.opened():
        await until(lambda: list(server.objects.nodes) == [B])


async def test_what_was_told_and_not_recorded_is_told_again_and_no_harm_is_done(
    store: Store, server: ApiServer
) -> None:
    play = Play(store)
    async with play.opened(told=False):
        await play.manage(server)
        await play.member(A)
        wish = (await asyncio.to_thread(play.manager)).marks[A]
        await (await play.managers("prod")).register(A, "web", wish)
    async with play.opened():
        await until(lambda: play.host(A).status == "active")
    registered = [event for event in play.log() if isinstance(event, events.NodeRegistered)]
    assert registered == [events.NodeRegistered(A)], "it is ours, though it was there"


class Frozen(SingleProcess):
    """A process that was frozen before it sent, and does not know yet that others took over."""

    def __init__(self) -> None:
        super().__init__()
        self._lost: list[Lost] = []

    def fenced(self, key: str, command: Callable[[Unit], T]) -> Callable[[Unit], T]:
        """The log knows better."""

        def fence(unit: Unit) -> T:
            raise conflict("Another process works on it now.")

        return fence

    @asynccontextmanager
    async def subscribe(self, gained: Gained, lost: Lost) -> AsyncIterator[None]:
        """It has all, as it thinks."""
        self._lost.append(lost)
        await gained(EVERYTHING)
        yield

    def wake(self) -> None:
        """It learns that it has nothing any more."""
        for lost in self._lost:
            lost(EVERYTHING)


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_node_that_a_frozen_process_registered_too_late_is_taken_back_unless_it_is_wanted(
    comes_back: bool, store: Store, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_registrar, "STRAY_S", 0.05)
    frozen = Frozen()
    play = Play(store)
    async with play.opened(ownership=frozen):
        await play.manage(server)
        await play.member(A)
        await until(lambda: A in server.objects.nodes)
        if not comes_back:  # what the process that took over did before that
            await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
            await play.do(
                lambda unit: node_outcomes.removed(unit, play.vault, "prod", A, left=False)
            )
        asked = len(server.requests("GET"))
        frozen.wake()
        await until(lambda: not play.registrar.waiting)
        assert (A in server.objects.nodes) is comes_back
        assert comes_back is (len(server.requests("GET")) == asked), "nothing to be asked then"


def want_uncordon(unit: Unit, operation: str) -> None:
    """The cordon of an operation is to be taken away."""
    unit.container_manager("prod").want_uncordon(A, operation)


async def test_every_cordon_that_waits_to_be_taken_away_is_taken_away(
    play: Play, server: ApiServer
) -> None:
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    await (await play.managers("prod")).cordon(A, "cancelled")
    with server.away():
        for each in ("cancelled", "retry"):
            await play.do(partial(want_uncordon, operation=each))
    await until(lambda: not play.pending_node_changes())
    assert "unschedulable" not in server.objects.nodes[A]["spec"]


async def test_a_host_that_comes_and_goes_ends_as_it_was_wished_last(
    play: Play, server: ApiServer
) -> None:
    await play.member(A)
    for _ in range(10):
        await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
        await play.do(lambda unit: fleet_commands.join(unit, "web", A))
    await until(lambda: play.host(A).status == "active")
    assert list(server.objects.nodes) == [A]
    await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
    await until(lambda: not play.pending_node_changes())
    assert not server.objects.nodes


async def test_a_host_that_moves_is_told_to_both_managers(
    play: Play, server: ApiServer, authority: Authority
) -> None:
    with ApiServer(authority, token=TOKEN) as other:
        await play.manage(other, "lab", "db")
        await play.member(A)
        await until(lambda: play.host(A).status == "active")
        with server.away():
            await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
            await play.do(lambda unit: fleet_commands.join(unit, "db", A))
            await until(lambda: play.host(A).status == "active")
            assert list(other.objects.nodes) == [A]
        await until(lambda: not server.objects.nodes)
        await until(lambda: not play.pending_node_changes())
        assert play.manager("lab").nodes == {A}


async def test_a_removed_manager_is_told_its_last_and_its_token_is_destroyed_then(
    play: Play, server: ApiServer
) -> None:
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    with server.away():
        await play.do(lambda unit: fleet_commands.remove_cluster(unit, "web"))
        await play.remove_manager()
        assert play.manager().state == "leaving"
    await until(lambda: not play.manager().state)
    assert not server.objects.nodes
    assert not play.manager().has_token


async def test_a_removed_manager_that_never_comes_back_is_given_up_after_its_time(
    play: Play, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    monkeypatch.setattr(node_registrar, "FAREWELL_S", 0.05)
    with server.away():
        await play.do(lambda unit: fleet_commands.remove_cluster(unit, "web"))
        await play.remove_manager()
        await until(lambda: not play.manager().state)
    assert not play.pending_node_changes()
    assert play.log()[-2:] == [events.NodeGivenUp(A), events.Removed()]
    await until(lambda: not play.registrar.waiting)


async def test_an_api_server_without_tls_and_token_is_spoken_to(store: Store) -> None:
    with ApiServer() as plain:
        async with Play(store).opened() as play:
            await play.manage(plain)
            await play.member(A)
            await until(lambda: play.host(A).status == "active")


async def test_figures_count_requests_by_what_came_of_them(play: Play, server: ApiServer) -> None:
    server.befall("POST", "/nodes", Fault(status=403))
    await play.member(A)
    await until(lambda: play.host(A).status == "active")
    collect = metrics.container_managers(play.managers.results, play.registrar)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collect()
        for sample in metric.samples
    }
    name = "commissaire_container_manager_requests_total"
    assert found[name, "prod", "ok"] == 1
    assert found[name, "prod", "forbidden"] == 1
    assert ("commissaire_nodes_waiting",) in found
