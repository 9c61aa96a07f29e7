"""`?at=` in a log of 1,000,000 events of 10,000 hosts: of one, of all, and the others meanwhile."""

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import orjson

from bench.figure import Cost, Figure, Scale, at_a_cost, side_by_side
from bench.ground import HOSTS, Ground
from bench.load import Load, answered
from bench.measures.reading import hosts_in_turn
from bench.processes import SERVER_CPU, Ours, cpu_seconds, pinned
from bench.seed import address
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.reading import as_of
from domain.log.recorder import now
from domain.log.writer import Writer
from projections.all import PROJECTIONS
from projections.rebuilding.live_tables import LiveTables
from runners.database.checkpointer import Checkpointer

EVENTS = 1_000_000
SEED = 20
ADDRESSES = 1000
VIEWERS = 4
HOST_LIMIT = 5.0
FLEET_LIMIT = 0.5
FLEET_ROUNDS = 3
REPLAY_TIMEOUT_S = 600.0
OWN_EVENTS = """
    SELECT state FROM stored_events WHERE originator_id = ? AND position <= ?
    ORDER BY originator_version
"""


def one_host(ground: Ground, scale: Scale) -> list[Figure]:
    """GET of a host as it was, less the time to read its own events; and as it is."""
    with grown(ground) as ours:
        database = ours.data / "commissaire.db"
        position = EVENTS * 9 // 10
        reading_s = own_events(database, position)
        plain = one_after_the_other(ours, scale, "")
        back = one_after_the_other(ours, scale, f"?at={recorded_at(database, position)}")
        return at_a_cost(
            f"GET /host/{{address}}?at=, less reading its events ({reading_s * 1000:.2f} ms)",
            lambda: of_each(ours, back, less_s=reading_s),
            lambda: of_each(ours, plain),
            scale.rounds,
            HOST_LIMIT,
        )


def fleet(ground: Ground, scale: Scale) -> list[Figure]:
    """GET of all hosts as they were, each time at another; and a replay from the beginning."""
    chance = random.Random(SEED)
    with grown(ground) as ours:
        database = ours.data / "commissaire.db"

        def look_back() -> Cost:
            begin, cpu = time.perf_counter(), cpu_seconds(ours.pid)
            hosts_at(ours.client, database, chance)
            return Cost(time.perf_counter() - begin, cpu_seconds(ours.pid) - cpu)

        return at_a_cost(
            f"GET /hosts?at=, {HOSTS} hosts (bare: a replay from the beginning)",
            look_back,
            lambda: replayed(database, some_position(chance)),
            min(FLEET_ROUNDS, scale.rounds),
            FLEET_LIMIT,
        )


def crowd(ground: Ground, scale: Scale) -> list[Figure]:
    """How long a GET waits while viewers ask for the fleet as it was, each time at another."""
    chance = random.Random(SEED)
    with grown(ground) as ours:
        database = ours.data / "commissaire.db"
        reading = hosts_in_turn(ours.url, "/api/v0", scale, ours.headers)

        def while_others_look_back() -> float:
            with looking_back(ours, database, chance):
                return answered(reading).p99_ms

        figure = side_by_side(
            f"p99 of GET a host while {VIEWERS} viewers GET /hosts?at= (bare: none)",
            while_others_look_back,
            lambda: answered(reading).p99_ms,
            scale.rounds,
            "ms",
            "for comparison",
        )
    return [figure]


@contextmanager
def grown(ground: Ground) -> Iterator[Ours]:
    """A service whose log has grown, with the checkpoints that it had made meanwhile."""
    with closing(SQLiteEngine(ground.seeded_database(EVENTS))) as engine:
        writer = Writer(engine, LiveTables(PROJECTIONS), timeout_s=REPLAY_TIMEOUT_S)
        writer.start()
        Checkpointer(engine, writer, now, pause_s=0).catch_up()
        writer.stop()
    with ground.ours(EVENTS) as ours:
        yield ours


def recorded_at(database: Path, position: int) -> str:
    """The time of a position."""
    with closing(SQLiteEngine(database)) as engine, engine.snapshot() as tx:
        return as_of.at(tx, position).recorded_at


def own_events(database: Path, position: int) -> float:
    """How long it takes to read the events of one host, and decode their JSON, in seconds."""
    with closing(sqlite3.connect(database)) as connection:
        begin = time.perf_counter()
        for number in range(ADDRESSES):
            found = connection.execute(OWN_EVENTS, (f"host/{address(number)}", position))
            for (state,) in found.fetchall():
                orjson.loads(state)
        return (time.perf_counter() - begin) / ADDRESSES


def one_after_the_other(ours: Ours, scale: Scale, query: str) -> Load:
    """One client that asks for one host after the other."""
    arguments = ("/api/v0/host/", str(ADDRESSES), query)
    return Load(ours.url, 1, scale.seconds, ours.headers, "hosts.lua", arguments)


def of_each(ours: Ours, load: Load, less_s: float = 0.0) -> Cost:
    """What each request of a load costs, without what is not counted."""
    cpu = cpu_seconds(ours.pid)
    done = answered(load)
    return Cost(
        1 / done.per_second - less_s, (cpu_seconds(ours.pid) - cpu) / done.requests - less_s
    )


def some_position(chance: random.Random) -> int:
    """In the younger half of the log."""
    return chance.randrange(EVENTS // 2, EVENTS)


def hosts_at(client: httpx.Client, database: Path, chance: random.Random) -> None:
    """Ask for all hosts as they were at some time."""
    at = recorded_at(database, some_position(chance))
    client.get("/hosts", params={"at": at}).raise_for_status()


@contextmanager
def looking_back(ours: Ours, database: Path, chance: random.Random) -> Iterator[None]:
    """Viewers who ask again and again."""
    ended = threading.Event()

    def ask() -> None:
        with ours.client_as("viewer") as client:
            while not ended.is_set():
                with suppress(httpx.HTTPStatusError):  # too many wait: as it should be
                    hosts_at(client, database, chance)

    viewers = [threading.Thread(target=ask) for _ in range(VIEWERS)]
    for viewer in viewers:
        viewer.start()
    try:
        yield
    finally:
        ended.set()
        for viewer in viewers:
            viewer.join()


def replayed(database: Path, position: int) -> Cost:
    """What a process takes that folds the log from its beginning, and lists the hosts."""
    command = [sys.executable, "-m", "bench.anchors.replaying", str(database), str(position)]
    said = subprocess.run(
        pinned(SERVER_CPU, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=REPLAY_TIMEOUT_S,
        check=True,
    ).stdout
    wall_s, cpu_s = map(float, said.split())
    return Cost(wall_s, cpu_s)
