"""What container managers say of their nodes is shown as it was said last, and not for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from domain.aggregates.log_history import WentBack
from domain.commands import fleet_commands
from domain.log.unit import Unit
from projections import hosts
from projections.hosts import HostStatus
from runners.container_managers.node_reports import NodeReports
from tests.runners.container_managers.play import Play
from tests.runners.container_managers.server import ApiServer, Fault
from tests.runners.stage import until
from tests.support.stores import Store, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

A, B = "10.0.0.1", "2001:db8::7"
B_NODE = "2001-0db8-0000-0000-0000-0000-0000-0007"
FIRST, SECOND, THIRD = (f"2026-01-02T03:04:0{second}.000000" for second in (1, 2, 3))
READY = {
    "node": A,
    "status": "ok",
    "schedulable": True,
    "reason": "KubeletReady",
    "kubelet": "v1.31.2",
}


@pytest.fixture
async def play(store: Store, server: ApiServer) -> AsyncIterator[Play]:
    """Two nodes of `server`, of which the first is Ready."""
    async with Play(store).opened() as play:
        await play.manage(server)
        for address in (A, B):
            await play.member(address)
        await until(lambda: {play.host(address).status for address in (A, B)} == {"active"})
        server.objects.set_ready(A)
        yield play


@asynccontextmanager
async def reporting(play: Play, at: str) -> AsyncIterator[None]:
    """Managers are asked all the time, and it is always this time."""
    runner = NodeReports(
        play.writer,
        play.known,
        play.managers,
        interval_s=0.02,
        now=lambda: at,
        on_defect=lambda _, defect: play.defects.append(defect),
    )
    running = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait((running,))


def status(play: Play, address: str) -> HostStatus:
    """As GET reads it."""
    with play.store.engine.snapshot() as tx:
        found = hosts.host_status(tx, address)
    assert found is not None
    return found


def shown(play: Play, address: str, oldest: str = FIRST) -> dict[str, object]:
    """What the status record says of the node."""
    record = orjson.loads(status(play, address).unless_said_before(oldest).body)
    found: dict[str, object] = record["container_manager"]
    return found


async def test_a_report_is_shown_until_it_is_too_old(play: Play, server: ApiServer) -> None:
    assert shown(play, A) == {}
    async with reporting(play, FIRST):
        await until(lambda: shown(play, A))
    assert shown(play, A) == READY
    assert shown(play, B)["node"] == B_NODE
    assert shown(play, A, oldest=SECOND) == {}


async def test_reports_follow_the_node_and_so_do_their_tags(play: Play, server: ApiServer) -> None:
    async with reporting(play, FIRST):
        await until(lambda: shown(play, A))
    tag = status(play, A).reported.tag
    async with reporting(play, SECOND):
        await until(lambda: status(play, A).said_at == SECOND)
        assert status(play, A).reported.tag == tag, "that it was said again is no news"
    with server.lock:
        server.objects.set_ready(A, "False", "KubeletNotReady")
    async with reporting(play, THIRD):
        await until(lambda: shown(play, A)["status"] == "not_ready")
    assert status(play, A).reported.tag != tag


async def test_a_manager_that_is_down_leaves_what_it_said_to_grow_old(
    play: Play, server: ApiServer
) -> None:
    async with reporting(play, FIRST):
        await until(lambda: shown(play, A))
    with server.away():
        async with reporting(play, SECOND):
            failed = sum(play.managers.results["prod"].values())
            await until(lambda: sum(play.managers.results["prod"].values()) > failed)
    assert shown(play, A, oldest=FIRST) == READY
    assert shown(play, A, oldest=SECOND) == {}


@pytest.mark.parametrize("fault", [Fault(status=403), Fault(body=b"junk"), Fault(body=b"{}")])
async def test_an_answer_that_says_nothing_breaks_nothing(
    fault: Fault, play: Play, server: ApiServer
) -> None:
    server.befall("GET", "/nodes?", fault)
    async with reporting(play, FIRST):
        await until(lambda: shown(play, A))


async def test_nothing_is_left_of_a_node_that_is_gone(play: Play, server: ApiServer) -> None:
    async with reporting(play, FIRST):
        await until(lambda: shown(play, A) and shown(play, B))
        with server.lock:
            del server.objects.nodes[B_NODE]
        await until(lambda: not shown(play, B))
        await play.do(lambda unit: fleet_commands.leave(unit, "web", A))
        assert shown(play, A) == {}
        await until(lambda: kept(play) == [])


def kept(play: Play) -> list[str]:
    """Addresses that something is kept of."""
    with play.store.engine.snapshot() as tx:
        return [row[0] for row in tx.execute("SELECT address FROM node_reports").fetchall()]


async def test_only_the_cordon_of_an_operation_that_the_database_lost_is_taken_back(
    play: Play, server: ApiServer
) -> None:
    def go_back(unit: Unit) -> None:
        changes = ["7 operation.started operation/lost alice"]
        unit.log_history().go_back(
            WentBack("a/1", 9, FIRST, 6, FIRST, 6, 10_009, 1, changes, "", "")
        )

    await play.do(go_back)
    kubernetes = await play.managers("prod")
    await kubernetes.cordon(A, "lost")
    await kubernetes.cordon(B, "of-another-service")
    async with reporting(play, FIRST):
        await until(lambda: "unschedulable" not in server.objects.nodes[A]["spec"])
        asked = len(server.requests("GET", "/nodes?"))
        await until(lambda: len(server.requests("GET", "/nodes?")) > asked + 2)
    assert server.objects.nodes[B_NODE]["spec"]["unschedulable"]
