"""A process that a test leaves behind is ended, and its test is named."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.service import wait_for

LIMIT_S = 60.0
ROOT = Path(__file__).parents[2]

# A daemon: no child of whoever started it, in a session of its own.
LEAVES = """
import subprocess
def test_that_leaves_a_daemon():
    subprocess.run(["/bin/sh", "-c", "setsid sleep 1000 & echo $! >pid"], check=True)
def test_that_is_clean():
    pass
"""
HANGS = """
import subprocess
def test_that_hangs():
    with subprocess.Popen(["sleep", "1000"]) as left, open("pid", "w") as file:
        print(left.pid, file=file, flush=True)
        left.wait()
"""
INTERRUPTS = """
import signal, subprocess
def test_that_interrupts():
    with subprocess.Popen(["sleep", "1000"]) as child:
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == -signal.SIGINT
"""


def run(test: str, directory: Path, *before: str) -> subprocess.Popen[str]:
    """A run of pytest of its own, on one file."""
    file = directory / "test_it.py"
    file.write_text(test)
    plugin = ("-p", "tests.support.no_leftovers", "-p", "no:cacheprovider", "-p", "no:randomly")
    return subprocess.Popen(
        [*before, sys.executable, "-m", "pytest", *plugin, str(file)],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        text=True,
    )


def is_gone(process: int) -> bool:
    """Whether there is no such process, or only its zombie."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_what_is_left_is_ended_and_its_test_named(tmp_path: Path) -> None:
    told, _ = run(LEAVES, tmp_path).communicate(timeout=LIMIT_S)
    assert "test_that_leaves_a_daemon left processes behind" in told
    assert "sleep 1000" in told
    assert "2 passed, 1 error" in told
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_nothing_outlives_tests_that_were_killed(tmp_path: Path) -> None:
    with run(HANGS, tmp_path) as running:
        file = tmp_path / "pid"
        pid = int(wait_for(lambda: file.read_text() if file.exists() else None))
        assert not is_gone(pid)
        running.send_signal(signal.SIGKILL)
    wait_for(lambda: is_gone(pid))


def test_what_tests_start_can_be_interrupted_though_they_cannot(tmp_path: Path) -> None:
    ignoring = ("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    running = run(INTERRUPTS, tmp_path, *ignoring)
    told, _ = running.communicate(timeout=LIMIT_S)
    assert "1 passed" in told
