"""`commctl` in the process of the test: sooner than one of its own, where that is no matter."""

import json
from pathlib import Path
from typing import Any

import pytest

from commctl.main import run
from tests.support.service import Service


class Here:
    """Runs command lines in a pipe, as whoever may read the data directory of a service."""

    def __init__(
        self, service: Service, home: Path, patch: pytest.MonkeyPatch, caught: Any
    ) -> None:
        patch.setenv("HOME", str(home))
        patch.setenv("COMMCTL_DATA", str(service.data))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        self._caught: pytest.CaptureFixture[str] = caught
        self.said = ""
        """What the last one said on standard error."""

    def run(self, *arguments: str, status: int = 0) -> str:
        """What it prints; it has to end with this status."""
        self._caught.readouterr()
        ended = run(arguments)
        printed, self.said = self._caught.readouterr()
        assert ended == status, (arguments, ended, printed, self.said)
        return printed

    def rows(self, *arguments: str, status: int = 0) -> list[list[str]]:
        """The cells of what it prints."""
        printed = self.run(*arguments, status=status)
        return [line.split("\t") for line in printed.splitlines()]

    def json(self, *arguments: str) -> Any:  # JSON
        """What it says to a program."""
        return json.loads(self.run(*arguments, "-o", "json"))
