"""The processes of a host, seen from outside through /proc."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
FREEZE_PASSES_MAX = 100


@dataclass(frozen=True)
class Process:
    """One process: its pid on the machine, its pid inside its host, its name and state."""

    pid: int
    inner_pid: int
    name: str
    state: str


def processes_of(first: int) -> Iterator[Process]:
    """All processes in the pid namespace of process `first`, zombies left out."""
    try:
        namespace = (PROC / str(first) / "ns/pid").readlink()
    except OSError:
        return
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns/pid").readlink() != namespace:
                continue
            status = (entry / "status").read_text()
        except OSError:  # gone meanwhile
            continue
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        state = fields["State"][0]
        if state not in "ZX":
            yield Process(int(entry.name), int(fields["NSpid"].split()[-1]), fields["Name"], state)


def send(process: Process, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
