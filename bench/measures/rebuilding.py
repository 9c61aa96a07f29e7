"""All read models rebuilt from 1,000,000 events; and how long a GET waits meanwhile."""

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.load import answered
from bench.measures.reading import hosts_in_turn
from bench.processes import LOAD_CPU, SERVER_CPU, pinned

EVENTS = 1_000_000
ROUNDS = 3
FLOOR = 0.08
P99_LIMIT = 3.0
TIMEOUT_S = 600.0


def rate(ground: Ground, scale: Scale) -> list[Figure]:
    """Events per second, next to a loop that reads the table and decodes the JSON."""
    database = ground.seeded_database(EVENTS)
    rounds = min(ROUNDS, scale.rounds)
    return [
        side_by_side(
            "rebuild of 1,000,000 events (bare: read and decode)",
            lambda: EVENTS / rebuilt(database.parent)[0],
            lambda: EVENTS / scanned(database)[0],
            rounds,
            "events/s",
            "at least",
            FLOOR,
        ),
        side_by_side(
            "  its CPU",
            lambda: 1e6 * rebuilt(database.parent)[1] / EVENTS,
            lambda: 1e6 * scanned(database)[1] / EVENTS,
            rounds,
            "µs",
            "for comparison",
        ),
    ]


def p99(ground: Ground, scale: Scale) -> list[Figure]:
    """The time in which 99 of 100 GETs are answered while rebuilds run, one after the other."""
    with ground.ours(EVENTS) as ours:
        reading = hosts_in_turn(ours.url, "/api/v0", scale, ours.headers)

        def while_it_runs() -> float:
            with rebuilding(ours.data):
                return answered(reading).p99_ms

        figure = side_by_side(
            "p99 of GET a host while a rebuild runs (bare: none)",
            while_it_runs,
            lambda: answered(reading).p99_ms,
            scale.rounds,
            "ms",
            "at most",
            P99_LIMIT,
        )
    return [figure]


def command(data: Path, cpu: int) -> list[str]:
    """The command as an operator gives it."""
    arguments = ("projections", "rebuild", "--data", str(data))
    return pinned(cpu, [sys.executable, "-m", "runners.cli", *arguments])


def rebuilt(data: Path) -> tuple[float, float]:
    """Seconds by the clock and of CPU, with the start of the command."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command(data, SERVER_CPU), check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu


def scanned(database: Path) -> tuple[float, float]:
    """The same for the bare loop, without the start of Python."""
    said = subprocess.run(
        pinned(SERVER_CPU, [sys.executable, "-m", "bench.anchors.raw_scan", str(database)]),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
    ).stdout
    wall_s, cpu_s = map(float, said.split())
    return wall_s, cpu_s


@contextmanager
def rebuilding(data: Path) -> Iterator[None]:
    """Rebuilds, as long as it takes."""
    ended = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def again() -> None:
        while not ended.is_set():
            process = subprocess.Popen(command(data, LOAD_CPU), stdout=subprocess.DEVNULL)
            running.append(process)
            process.wait(TIMEOUT_S)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        for process in running:
            if process.poll() is None:
                process.terminate()
        thread.join()
