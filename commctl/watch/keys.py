"""Single keys from a terminal, while something else goes on."""

import os
import select
import sys
from types import TracebackType
from typing import Any, Self

CONTROL_C = "\x03"


def in_foreground() -> bool:
    """Whether keys are ours. Who asks a terminal for them in the background is stopped by it."""
    try:
        return not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal that is not that of our session has no jobs
        return True


class Keys:
    """Keys that are pressed, one at a time; nothing where standard input is no terminal."""

    def __init__(self) -> None:
        self._file: int | None = None
        # Any: what termios says of a terminal.
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        if sys.stdin.isatty():
            import termios
            import tty

            self._file = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._file)
            tty.setcbreak(self._file)  # Ctrl-C stays a signal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            import termios

            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """The key that was pressed since; "" for none."""
        if self._file is None or not select.select([self._file], [], [], 0)[0]:
            return ""
        return os.read(self._file, 1).decode(errors="replace").lower()
