"""What a large log and a large fleet cost: time to start, memory, and disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from bench.figure import Figure, Scale, side_by_side
from bench.ground import EVENTS, HOSTS, Ground
from bench.load import Load, answered
from bench.measures.writing import puts
from bench.processes import Ours, resident_mb, seconds_to_first_answer
from bench.seed import address

START_LIMIT = 2.0
MEMORY_LIMIT_MB = 120.0
SINGLE_HOSTS = 1000
LISTS = 20
CLIENTS = 64
LOAD_ROUNDS = 3


def start(ground: Ground, scale: Scale) -> list[Figure]:
    """Start to first answer, with events in the log and with none."""
    full, empty = ground.ours(EVENTS), ground.ours()
    figure = side_by_side(
        f"start to first answer, {EVENTS} events (bare: no event)",
        lambda: seconds_to_first_answer(full),
        lambda: seconds_to_first_answer(empty),
        scale.fleet_rounds,
        "s",
        "at most",
        START_LIMIT,
    )
    return [figure]


def memory(ground: Ground, scale: Scale) -> list[Figure]:
    """Resident memory with all hosts: after lists and single hosts were read, and after load."""
    with ground.ours(0) as ours:
        idle = resident_mb(ours.pid)
        for number in range(SINGLE_HOSTS):
            ours.client.get(f"/host/{address(number)}").raise_for_status()
        for _ in range(LISTS):
            ours.client.get("/hosts").raise_for_status()
        read = resident_mb(ours.pid)
        for load in _loads(ours, scale):
            answered(load)
        loaded = resident_mb(ours.pid)
    return [
        Figure(
            f"memory {what} (bare: at start), {HOSTS} hosts",
            size,
            idle,
            size / idle,
            "MB",
            "ours at most",
            MEMORY_LIMIT_MB,
        )
        for what, size in (("after reading", read), ("after load", loaded))
    ]


def disk(ground: Ground, scale: Scale) -> list[Figure]:
    """What a host that is set up takes of the database, and what each further event does."""
    empty, _ = _size(ground.seeded_database(0, hosts=0))
    fleet, fleet_events = _size(ground.seeded_database(0))
    grown, grown_events = _size(ground.seeded_database(EVENTS))
    of_host = (fleet - empty) / HOSTS
    of_event = (grown - fleet) / (grown_events - fleet_events)
    name = f"disk of a host, {fleet_events / HOSTS:g} events each (bare: of a further event)"
    return [Figure(name, of_host, of_event, of_host / of_event, "bytes", "for comparison")]


def _size(database: Path) -> tuple[int, int]:
    """Bytes of a database, and events in its log."""
    with closing(sqlite3.connect(database)) as connection:
        pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        (size,) = connection.execute(pages).fetchone()
        (events,) = connection.execute("SELECT count(*) FROM stored_events").fetchone()
    return int(size), int(events)


def _loads(ours: Ours, scale: Scale) -> Iterator[Load]:
    seconds, headers = scale.seconds * LOAD_ROUNDS, ours.headers
    hosts = ("/api/v0/host/", str(HOSTS))
    yield Load(ours.url, CLIENTS, seconds, headers, "hosts.lua", hosts)
    names = (f"m{number}-" for number in count())
    yield puts(f"{ours.url}/api/v0/cluster/", CLIENTS, scale, names, headers)
    yield Load(f"{ours.url}/api/v0/hosts", CLIENTS, seconds, headers)
