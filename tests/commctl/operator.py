"""An operator at a shell, on the machine of the service or elsewhere."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.commctl.terminal import ROWS, Terminal
from tests.support import leftovers
from tests.support.service import Service
from tests.support.warm_start import Forked, WarmStart, measured

LIMIT_S = 120
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
KEPT = ("COVERAGE_", "COV_CORE_", "RUN_OF_TESTS")
"""What measures the lines that tests reach, and ends what tests leave behind."""


class Operator:
    """Runs `commctl`. With a service: as whoever may read its data directory."""

    def __init__(self, home: Path, service: Service | None = None, **environment: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.service = service
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith(KEPT)},
            **({"COMMCTL_DATA": str(service.data)} if service else {}),
            **environment,
        }

    def run(
        self, *arguments: str, stdin: str = "", status: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """In a pipe; it has to end with this status, whatever it is for None."""
        with TemporaryFile() as entered, TemporaryFile() as printed, TemporaryFile() as errors:
            entered.write(stdin.encode())
            entered.seek(0)
            files = (entered, printed, errors)
            ended = self._start(arguments, self.environment | environment, files).wait(LIMIT_S)
            outputs = [os.pread(file.fileno(), OUTPUT_BYTES_MAX, 0).decode() for file in files[1:]]
        done = subprocess.CompletedProcess(arguments, ended, *outputs)
        assert status in (None, done.returncode), (done.returncode, done.stdout, done.stderr)
        return done

    def _start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        files: tuple[IO[bytes], IO[bytes], IO[bytes]],
    ) -> Forked | subprocess.Popen[bytes]:
        pythons = {key: value for key, value in environment.items() if key.startswith("PYTHON")}
        is_usual = pythons == {"PYTHONPATH": os.pathsep.join(sys.path)}
        if is_usual and leftovers.adopting() and not measured(environment):
            return warm_commctl().start(arguments, environment, files, str(self.home))
        return subprocess.Popen(
            [sys.executable, "-m", "commctl", *arguments],
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            env=environment,
            cwd=self.home,
        )

    def rows(self, *arguments: str, status: int = 0) -> list[list[str]]:
        """The cells of what it prints in a pipe."""
        printed = self.run(*arguments, status=status).stdout
        return [line.split("\t") for line in printed.splitlines()]

    def json(self, *arguments: str) -> Any:  # JSON
        """What it says to a program."""
        return json.loads(self.run(*arguments, "-o", "json").stdout)

    def terminal(self, *arguments: str, columns: int = 120, rows: int = ROWS) -> Terminal:
        """In a terminal."""
        command = [sys.executable, "-m", "commctl", *arguments]
        return Terminal(command, self.environment, columns, rows)

    def program(self) -> None:
        """Put `commctl` where a shell finds it."""
        path = self.home / "bin" / "commctl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -m commctl "$@"\n')
        path.chmod(0o755)
        self.environment["PATH"] = f"{path.parent}:{self.environment['PATH']}"

    def key_file(self, key: bytes) -> str:
        """A private key in a file of the operator's own."""
        path = self.home / "id_ed25519"
        path.touch(mode=0o600)
        path.write_bytes(key)
        return str(path)


@cache
def warm_commctl() -> WarmStart:
    """The one of this process, started when `commctl` is first asked for."""
    with leftovers.sharing():
        return WarmStart("commctl")
