"""From a PUT's answer to its event at 500 listeners, next to a bare fan-out of the same size; and
what leaves the house by a webhook."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.figure import Figure, Sample, Scale, side_by_side, under_load
from bench.ground import Ground
from bench.measures.writing import prefixes
from bench.processes import LOAD_CPU, SERVER_CPU, Bare, Ours, cpu_seconds, pinned

LISTENERS = 500
LIMIT = 2.0
CLIENT_TIMEOUT_S = 120.0
MESSAGES = 300
WEBHOOK_FLOOR = 0.2


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


def webhook(ground: Ground, scale: Scale) -> list[Figure]:
    """Messages a second to one receiver, in order, next to posts on one connection that is kept.

    Those lose their place in a crash: nothing is read from a log, and nothing kept.
    """
    names = prefixes()
    with ground.ours() as ours:
        return under_load(
            "messages of a webhook to one receiver (bare: httpx, signed, no log, no cursor)",
            lambda: _delivered(ours, next(names)),
            _posted,
            scale.rounds,
            "at least",
            WEBHOOK_FLOOR,
        )


def _delivered(ours: Ours, prefix: str) -> Sample:
    """All of them are in the log before the first is taken."""
    with _receiver() as there:
        hook = {"url": _line(there), "types": ["cluster.created"]}
        ours.client.put(f"/webhook/{prefix}", json=hook).raise_for_status()
        for number in range(MESSAGES):
            ours.client.put(f"/cluster/{prefix}{number}").raise_for_status()
        found = _taken(there, ours.pid)
        ours.client.delete(f"/webhook/{prefix}").raise_for_status()
    return found


def _posted() -> Sample:
    with _receiver() as there:
        command = [sys.executable, "-m", "bench.anchors.posting", _line(there), str(MESSAGES)]
        with subprocess.Popen(pinned(SERVER_CPU, command), stdin=subprocess.PIPE) as posting:
            found = _taken(there, posting.pid)
            assert posting.stdin is not None
            posting.stdin.close()
    return found


def _taken(there: "subprocess.Popen[str]", pid: int) -> Sample:
    """From the first message, which is held, to the last."""
    assert _line(there) == "held"
    assert there.stdin is not None
    cpu_s = cpu_seconds(pid)
    there.stdin.write("go\n")
    there.stdin.flush()
    took_s = float(_line(there))
    return Sample(MESSAGES / took_s, 1e6 * (cpu_seconds(pid) - cpu_s) / MESSAGES)


@contextmanager
def _receiver() -> Iterator["subprocess.Popen[str]"]:
    """It ends with its standard input."""
    command = [sys.executable, "-m", "bench.anchors.taking_messages", str(MESSAGES)]
    with subprocess.Popen(
        pinned(LOAD_CPU, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
