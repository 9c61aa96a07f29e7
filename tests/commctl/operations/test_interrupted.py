"""Ctrl-C before there is anything to tell: one line, whatever Python is doing."""

import signal
import subprocess
import sys
from pathlib import Path

LIMIT_S = 60
SLOW = "import time\nprint('here', flush=True)\ntime.sleep(600)\n"


def test_control_c_while_modules_are_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(SLOW)
    with subprocess.Popen(
        [sys.executable, "-m", "commctl", "host", "list"],
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert said == "commctl: interrupted\n"
    assert process.returncode == 130
