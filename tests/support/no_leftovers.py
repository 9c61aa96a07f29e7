"""No test leaves a process behind: what is left of a test is ended, and the test fails.

A plugin of pytest. What fixtures start that several tests share may stay as long as they. Orphans
become our children, however they hide; and where we are killed ourselves, a guard ends what has
our mark in its environment.
"""

import os
import signal
import subprocess
from collections.abc import Generator
from secrets import token_hex

import pytest

from tests.support import leftovers

MARK = "RUN_OF_TESTS"
# Waits until the process that starts all others closes its end of the pipe, by will or by dying.
GUARD = """
read -r _
for process in /proc/[0-9]*; do
    if grep -qa "RUN_OF_TESTS=$1" "$process/environ"; then kill -KILL "${process#/proc/}"; fi
done 2>/dev/null
"""
_GUARD = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is started.

    Whoever starts the tests may ignore SIGINT, as a shell does for a job in the background. Where
    a signal has a handler, it has its default action in the programs that we start.
    """
    leftovers.adopt()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if not hasattr(config, "workerinput"):
        mark = token_hex(8)
        guard = ("/bin/sh", "-c", GUARD, "guard", mark)
        with leftovers.sharing():
            config.stash[_GUARD] = subprocess.Popen(
                guard, stdin=subprocess.PIPE, start_new_session=True
            )
        os.environ[MARK] = mark


def pytest_unconfigure(config: pytest.Config) -> None:
    """What workers left that died, too."""
    leftovers.end_what_is_left()
    if guard := config.stash.get(_GUARD, None):
        guard.communicate()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object],
) -> Generator[None, object, object]:
    """Note what fixtures start that several tests share."""
    if fixturedef.scope == "function":
        return (yield)
    with leftovers.making():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """When the fixtures of a test are gone, all that it started is."""
    try:
        return (yield)
    finally:
        left = leftovers.end_what_is_left()
        if left:
            pytest.fail(f"{item.nodeid} left processes behind: {left}", pytrace=False)
