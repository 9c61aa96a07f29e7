"""Lists that are longer than the terminal go through PAGER, where somebody has set one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice

LESS = "FRX"
"""As git has it: ends at once where all fits, passes colours on, and leaves the screen as it is."""
SPARE_LINES = 2
"""Of the prompt, and of what is said below a list."""


def show_in_pages(lines: Iterator[str], rows: int) -> None:
    """Write the lines to standard output, by the pager where they do not fit."""
    pager = os.environ.get("PAGER")
    first = list(islice(lines, max(rows - SPARE_LINES, 1))) if pager else []
    more = next(lines, None) if pager else None
    if not pager or more is None:
        for line in chain(first, lines):
            sys.stdout.write(f"{line}\n")
        return
    sys.stdout.flush()
    with subprocess.Popen(
        ["/bin/sh", "-c", pager],
        stdin=subprocess.PIPE,
        env={"LESS": LESS, **os.environ},
        text=True,
    ) as process:
        into = process.stdin or sys.stdout
        with suppress(BrokenPipeError):  # they have seen enough
            for line in chain(first, [more], lines):
                into.write(f"{line}\n")
        with suppress(BrokenPipeError):
            into.close()
