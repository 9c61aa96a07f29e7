"""Which processes are ours, which may outlive a test, and how the others are ended.

`tests/support/no_leftovers.py` is the plugin of pytest; this is all that a fleet needs, which the
demonstration makes without pytest.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
END_TIMEOUT_S = 10.0
POLL_S = 0.01

# What multiprocessing starts once for a process, and ends with it.
TRACKER = "multiprocessing.resource_tracker"

_shared: set[int] = set()
_making = 0
_adopting = False


def adopt() -> None:
    """Make orphans of what we start our children, however they hide."""
    global _adopting  # noqa: PLW0603 - a process adopts once and for all
    _adopting = ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def adopting() -> bool:
    """Whether orphans become our children: in tests they do."""
    return _adopting


@contextmanager
def sharing() -> Iterator[None]:
    """What is started meanwhile may outlive the test."""
    before = children()
    try:
        yield
    finally:
        _shared.update(children() - before)


@contextmanager
def ending() -> Iterator[None]:
    """What is started meanwhile is ended, and orphans of it."""
    before = children()
    try:
        yield
    finally:
        _end(lambda: _unshared() - before)


@contextmanager
def making() -> Iterator[None]:
    """While a fixture is made that several tests share."""
    global _making  # noqa: PLW0603 - one process runs one test at a time
    _making += 1
    try:
        with sharing():
            yield
    finally:
        _making -= 1


def starting() -> Callable[[], AbstractContextManager[None]]:
    """For whoever is made now and starts processes at any time: around each such start.

    They may outlive a test where this is in a fixture that several tests share.
    """
    return sharing if _making else nullcontext


def end_what_is_left() -> list[str]:
    """Wait for our children to end, and end them; gives the command lines of these."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while left := _unshared():
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    told = [f"{process}: {_command(process)}" for process in left]
    _end(_unshared)
    return told


def _end(left: Callable[[], set[int]]) -> None:
    """Kill these, and what they started."""
    while found := left():
        for process in found:
            for each in [process, *_descendants(process)]:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        time.sleep(POLL_S)


def children(process: int | str = "self") -> set[int]:
    """The children of a process; zombies too."""
    found: set[int] = set()
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # that thread is gone
            found.update(map(int, thread.read_text().split()))
    return found


def _unshared() -> set[int]:
    """Our children that no shared fixture has; those that ended are buried."""
    ours = children()
    _shared.intersection_update(ours)
    for process in ours - _shared:
        if TRACKER in _command(process):
            _shared.add(process)
        with suppress(ChildProcessError):
            if os.waitpid(process, os.WNOHANG) != (0, 0):
                ours.discard(process)
    return ours - _shared


def _descendants(process: int) -> Iterator[int]:
    for child in children(process):
        yield child
        yield from _descendants(child)


def _command(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
