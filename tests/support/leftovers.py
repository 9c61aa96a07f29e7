"""No test leaves a process behind: what is left of a test is ended, and the test fails.

A plugin of pytest. What fixtures start that several tests share may stay as long as they. Orphans
become our children, however they hide; and where we are killed ourselves, a guard ends what has
our mark in its environment.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from secrets import token_hex

import pytest

PR_SET_CHILD_SUBREAPER = 36
END_TIMEOUT_S = 10.0
POLL_S = 0.01

MARK = "RUN_OF_TESTS"
# Waits until the process that starts all others closes its end of the pipe, by will or by dying.
GUARD = """
read -r _
for process in /proc/[0-9]*; do
    if grep -qa "RUN_OF_TESTS=$1" "$process/environ"; then kill -KILL "${process#/proc/}"; fi
done 2>/dev/null
"""

# What multiprocessing starts once for a process, and ends with it.
TRACKER = "multiprocessing.resource_tracker"

_shared: set[int] = set()
_making = 0
_adopting = False


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is started.

    Whoever starts the tests may ignore SIGINT, as a shell does for a job in the background. Where
    a signal has a handler, it has its default action in the programs that we start.
    """
    global _adopting  # noqa: PLW0603 - a process adopts once and for all
    _adopting = ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if not hasattr(config, "workerinput"):
        mark = token_hex(8)
        guard = ("/bin/sh", "-c", GUARD, "guard", mark)
        config.stash[_GUARD] = subprocess.Popen(
            guard, stdin=subprocess.PIPE, start_new_session=True
        )
        _shared.add(config.stash[_GUARD].pid)
        os.environ[MARK] = mark


_GUARD = pytest.StashKey[subprocess.Popen[bytes]]()


def adopting() -> bool:
    """Whether orphans become our children: in tests they do."""
    return _adopting


def pytest_unconfigure(config: pytest.Config) -> None:
    """What workers left that died, too."""
    end_what_is_left()
    if guard := config.stash.get(_GUARD, None):
        guard.communicate()


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


def starting() -> Callable[[], AbstractContextManager[None]]:
    """For whoever is made now and starts processes at any time: around each such start.

    They may outlive a test where this is in a fixture that several tests share.
    """
    return sharing if _making else nullcontext


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object],
) -> Generator[None, object, object]:
    """Note what fixtures start that several tests share."""
    global _making  # noqa: PLW0603 - one process runs one test at a time
    if fixturedef.scope == "function":
        return (yield)
    _making += 1
    try:
        with sharing():
            return (yield)
    finally:
        _making -= 1


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """When the fixtures of a test are gone, all that it started is."""
    try:
        return (yield)
    finally:
        left = end_what_is_left()
        if left:
            pytest.fail(f"{item.nodeid} left processes behind: {left}", pytrace=False)


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
