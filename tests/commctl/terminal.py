"""A pseudo-terminal in which a command runs, and the screen that a person would see."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import pyte

LIMIT_S = 60.0
POLL_S = 0.05
ROWS = 40


class Terminal:
    """A command in a terminal of so many columns."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], columns: int, rows: int = ROWS
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            # A terminal of its own, which Ctrl-C is sent by.
            ["setsid", "--ctty", "--wait", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm-256color"},
        )
        os.close(theirs)

    @property
    def screen(self) -> str:
        """What is on the screen now, without blanks at the ends of lines."""
        self._read(0)
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def colours(self) -> set[str]:
        """Of what is on the screen."""
        cells = (cell for row in self._screen.buffer.values() for cell in row.values())
        return {cell.fg for cell in cells} - {"default"}

    def see(self, wanted: "str | Callable[[str], object]", limit_s: float = LIMIT_S) -> str:
        """The screen once it has this on it."""
        deadline = time.monotonic() + limit_s
        is_there = (lambda screen: wanted in screen) if isinstance(wanted, str) else wanted
        while not is_there(screen := self.screen):
            assert time.monotonic() < deadline, f"{wanted!r} is not on the screen:\n{screen}"
            if self._process.poll() is not None:
                self._read(0)
                assert is_there(self.screen), f"it ended, and {wanted!r} is not here:\n{screen}"
            self._read(POLL_S)
        return screen

    def press(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._ours, keys.encode())

    def end(self, limit_s: float = LIMIT_S) -> int:
        """The exit status, once it has ended."""
        deadline = time.monotonic() + limit_s
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on:\n{self.screen}"
            self._read(POLL_S)
        self._read(0)
        return self._process.returncode

    def _read(self, wait_s: float) -> None:
        while select.select([self._ours], [], [], wait_s)[0]:
            try:
                said = os.read(self._ours, 65536)
            except OSError:
                return  # the other side is closed
            if not said:
                return
            self.written += said
            self._stream.feed(said)
            wait_s = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)
