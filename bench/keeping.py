"""What a large log and a large fleet cost: time to start, and memory."""

from collections.abc import Iterator

from bench.figure import Figure, Scale, side_by_side
from bench.ground import EVENTS, HOSTS, Ground
from bench.load import requests_per_second
from bench.processes import resident_mb, seconds_to_first_answer
from bench.seed import address

START_LIMIT = 2.0
MEMORY_LIMIT_MB = 120.0
SINGLE_HOSTS = 1000
LISTS = 20
CLIENTS = 64


def start(ground: Ground, scale: Scale) -> list[Figure]:
    """Start to first answer, with events in the log and with none."""
    full, empty = ground.ours(EVENTS), ground.ours()
    figure = side_by_side(
        f"start to first answer, {EVENTS} events (bare: no event)",
        lambda: seconds_to_first_answer(full),
        lambda: seconds_to_first_answer(empty),
        scale,
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
        for path, script, *arguments in _loads():
            url = f"{ours.url}{path}"
            requests_per_second(url, CLIENTS, scale.seconds, ours.headers, script, *arguments)
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


def _loads() -> Iterator[tuple[str, ...]]:
    yield "", "hosts.lua", "/api/v0/host/", str(HOSTS)
    yield "", "put.lua", "/api/v0/cluster/m-"
    yield "/api/v0/hosts", ""
