"""What a person at a terminal waits for: `commctl`, next to a Python that does nothing."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.figure import Figure, Scale, side_by_side
from bench.ground import HOSTS, Ground
from bench.processes import LOAD_CPU, Ours, pinned

FEW, SOME = 10, 1_000
"""Hosts of the smaller fleets."""
HELP_LIMIT_S = 0.3
LIST_LIMIT_S = 0.5
FIRST_ROW_LIMIT_S = 1.0
MEMORY_LIMIT = 1.2
STATUS_LIMIT = 1.3
RUN_TIMEOUT_S = 120.0
TELL_MEMORY = """
import sys
from commctl.main import run
assert run(sys.argv[1:]) == 0
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


def commctl(ground: Ground, scale: Scale) -> list[Figure]:
    """Help, lists and the status: how soon they are there, and how much memory a list takes."""
    with (
        ground.ours_labelled(FEW) as few,
        ground.ours_labelled(SOME) as some,
        ground.ours_labelled(HOSTS) as all_of_them,
    ):
        rounds = scale.fleet_rounds
        return [
            *_against_python("commctl --help", partial(_took, few, "--help"), rounds, HELP_LIMIT_S),
            *_against_python(
                f"commctl host list, {FEW} hosts",
                partial(_took, few, "host", "list"),
                rounds,
                LIST_LIMIT_S,
            ),
            *_against_python(
                f"first row of commctl host list on a terminal, {HOSTS} hosts",
                partial(_first_row, all_of_them),
                rounds,
                FIRST_ROW_LIMIT_S,
            ),
            side_by_side(
                f"most memory of commctl host list, {HOSTS} hosts (bare: {SOME})",
                partial(_most_memory, all_of_them, "host", "list"),
                partial(_most_memory, some, "host", "list"),
                rounds,
                "MB",
                "at most",
                MEMORY_LIMIT,
            ),
            side_by_side(
                f"commctl status, {HOSTS} hosts (bare: {FEW})",
                partial(_took, all_of_them, "status"),
                partial(_took, few, "status"),
                rounds,
                "s",
                "at most",
                STATUS_LIMIT,
            ),
        ]


def _against_python(
    name: str, ours: Callable[[], float], rounds: int, limit_s: float
) -> list[Figure]:
    """How long it takes, and how many times as long as Python alone."""
    bare = partial(_run, [sys.executable, "-c", "pass"], dict(os.environ))
    figure = side_by_side(f"{name} (bare: python -c pass)", ours, bare, rounds, "s", "ours at most")
    return [
        replace(figure, limit=limit_s, spread=None),
        replace(figure, name="  their ratio", bound="for comparison"),
    ]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "commctl", *arguments]


def _environment(ours: Ours) -> dict[str, str]:
    """That of whoever may read the data directory, and has no log-in of their own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COMMCTL_") and k != "PAGER"}
    return kept | {"COMMCTL_DATA": str(ours.data), "HOME": str(ours.data)}


def _took(ours: Ours, *arguments: str) -> float:
    return _run(_command(*arguments), _environment(ours))


def _run(command: list[str], environment: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    with Path(os.devnull).open("wb") as nowhere:
        subprocess.run(
            pinned(LOAD_CPU, command),
            env=environment,
            stdout=nowhere,
            check=True,
            timeout=RUN_TIMEOUT_S,
        )
    return time.perf_counter() - begin


def _first_row(ours: Ours) -> float:
    """Until a terminal shows something; the rest is read, too, and not counted."""
    terminal, theirs = pty.openpty()
    begin = time.perf_counter()
    process = subprocess.Popen(
        pinned(LOAD_CPU, _command("host", "list")),
        env=_environment(ours) | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = os.read(terminal, 65536)
    took = time.perf_counter() - begin
    assert said.startswith(b"\x1b[2mADDRESS"), said
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # the other side is closed
        os.close(terminal)
    assert process.wait(RUN_TIMEOUT_S) == 0
    return took


def _most_memory(ours: Ours, *arguments: str) -> float:
    """What it had in RAM at most, in megabytes of a million bytes, as it says itself.

    What wait4(2) says of a child begins with what the parent has.
    """
    done = subprocess.run(
        [sys.executable, "-c", TELL_MEMORY, *arguments],
        env=_environment(ours),
        stdout=subprocess.PIPE,
        check=True,
        timeout=RUN_TIMEOUT_S,
    )
    return int(done.stdout.splitlines()[-1]) * 1024 / 1e6
