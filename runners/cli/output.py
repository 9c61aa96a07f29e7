"""What commands show: tables for people, JSON for programs, and progress for whoever watches."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from runners.os_support.terminal_text import printable


def show_json(value: object) -> None:
    """One line of JSON on standard output."""
    import orjson

    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def show_lines(lines: bytes) -> None:
    """Whole lines on standard output."""
    left = memoryview(lines)
    # Where Python does not buffer (PYTHONUNBUFFERED), it may take a part of them only.
    while left:
        left = left[sys.stdout.buffer.write(left) :]


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on standard output; what is in it cannot command the terminal.

    On a terminal nothing is cut: what is too wide folds. In a pipe there are tabs; the
    header stays, since one command may show several tables.
    """
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            sys.stdout.write("\t".join(printable(str(value)) for value in row) + "\n")
        return
    # Only here: it takes longer to import than many a command to run.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        # What identifies comes first, and has its line.
        table.add_column(column.upper(), overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(printable(str(value))) for value in row))
    Console().print(table)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """To be called with how far it is: a bar on standard error, where that is a terminal.

    None without a total: it would be in the midst of what is written to the same terminal.
    """
    if total is None or not sys.stderr.isatty():
        yield lambda so_far: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    words, bar = TextColumn("{task.description}"), BarColumn()
    columns = (words, bar, TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda so_far: shown.update(task, completed=so_far)
