"""`make demo` is what a newcomer sees first: it succeeds, and shows what it promises."""

import os
import subprocess
import sys

import pytest

TIMEOUT_S = 400.0


@pytest.mark.proof
def test_the_demonstration_succeeds_and_shows_the_restart_that_outlived_the_service() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fleet"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, killed, after = done.stdout.partition("kill -9")
    assert before.count(" active") >= 5
    assert killed
    assert "goes on" in after
    assert "The restart has finished" in after
    assert "BEGIN" not in done.stdout, "a key is a secret, also here"
