"""From a PUT's answer to its event at 500 listeners, next to a bare fan-out of the same size."""

import subprocess
import sys

from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.measures.writing import prefixes
from bench.processes import LOAD_CPU, Bare, pinned

LISTENERS = 500
LIMIT = 2.0
CLIENT_TIMEOUT_S = 120.0


def fan_out(ground: Ground, scale: Scale) -> list[Figure]:
    """The time in which 99 of 100 tellings of an event arrive; one change after the other."""
    names = prefixes()
    with ground.ours() as ours, Bare(ground.new_directory("bare")) as bare:
        stream, cluster = "/api/v0/events/stream", "/api/v0/cluster/"
        return [
            side_by_side(
                f"an event at {LISTENERS} listeners after the PUT's answer (bare: Starlette)",
                lambda: p99_ms(ours.url, stream, cluster + next(names), **ours.headers),
                lambda: p99_ms(bare.url, "/stream", "/row/" + next(names)),
                scale.rounds,
                "ms",
                "at most",
                LIMIT,
            )
        ]


def p99_ms(url: str, stream: str, put: str, **headers: str) -> float:
    """One round, by a client of its own (`bench/stream_client.py`)."""
    client = [sys.executable, "-m", "bench.stream_client", str(LISTENERS), url, stream, put]
    client += [f"{name}: {value}" for name, value in headers.items()]
    ended = subprocess.run(
        pinned(LOAD_CPU, client), capture_output=True, check=True, timeout=CLIENT_TIMEOUT_S
    )
    return float(ended.stdout)
