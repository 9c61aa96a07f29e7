"""Whether a process of this machine is still there: a dead one's lease need not be waited for.

A process that is frozen, or on another machine, or in another container, may well be alive.
"""

import os
from pathlib import Path


def process_identity() -> str:
    """What identifies this process among all that ever were: boot, PID namespace, pid, start."""
    pid = os.getpid()
    return f"{_where()} {pid} {_started(pid)}"


def is_dead(seen: str) -> bool:
    """Whether the process of this witness is certainly gone."""
    where, _, process = seen.partition(" ")
    pid, _, started = process.partition(" ")
    if where != _where() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and another user's
    now = _started(int(pid))
    return bool(now and started) and now != started  # the pid is another process's by now


def _where() -> str:
    """This boot of this machine, and this PID namespace of it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"unknown/{os.urandom(16).hex()}"  # it is nobody's neighbour


def _started(pid: int) -> str:
    """Field 22 of stat: when the process started; "" where that cannot be seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
