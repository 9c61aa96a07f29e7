"""`commissaire serve` tells a person in text, and everything else in JSON."""

import os
import sys
from pathlib import Path

from tests.commctl.terminal import Terminal


def test_on_a_terminal_log_lines_are_text(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runners.cli", "serve", "--port", "0", "--data", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with Terminal(command, environment, 160) as terminal:
        screen = terminal.see("Commissaire serves on")
        screen = terminal.see("started")
        assert '{"time"' not in screen
        terminal.press("\x03")
        assert terminal.end() == 0
