"""An operation in place on a terminal: a bar, counts, who is in process, who ended last."""

import shutil
import sys
from datetime import UTC, datetime

from commctl.show.output import Output
from commctl.show.table import SIGNS
from commctl.show.text import cleaned, folded, padded, width
from commctl.show.times import read, stopwatch
from commctl.watch.progress import HostProgress, Progress

BAR_COLUMNS = 24
LINES_BESIDE_HOSTS = 12
KEYS = "p pause  c cancel  o output  q leave"
KEYS_PAUSED = "r resume  c cancel  o output  q leave"


class Screen:
    """What is drawn, and drawn anew over itself."""

    def __init__(self, out: Output, progress: Progress) -> None:
        self._out = out
        self._progress = progress
        self._drawn: list[str] = []
        self.message = ""

    def draw(self) -> None:
        """Draw it as it is now; nothing is written where nothing has changed."""
        lines = self._lines()
        if lines != self._drawn:
            self._write(self._erased() + "".join(f"{line}\r\n" for line in lines))
            self._drawn = lines

    def say(self, lines: list[str]) -> None:
        """Lines that stay, above what is drawn."""
        self._write(self._erased() + "".join(f"{cleaned(line)}\r\n" for line in lines))
        self._drawn = []
        self.draw()

    def erase(self) -> None:
        """Take it away: the end is told by lines that stay."""
        self._write(self._erased())
        self._drawn = []

    def _erased(self) -> str:
        columns = self._out.columns
        # A terminal that was made narrower shows a line on several.
        rows = sum(max(1, -(-_shown(line) // columns)) for line in self._drawn)
        return f"\x1b[{rows}F\x1b[J" if rows else ""

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _lines(self) -> list[str]:
        progress, columns = self._progress, self._out.columns
        lines = self._heading(columns)
        rows = shutil.get_terminal_size().lines
        running = progress.in_process
        most = max(rows - LINES_BESIDE_HOSTS, 3)
        lines += [self._host(host) for host in running[:most]]
        if len(running) > most:
            lines.append(f"  and {len(running) - most} more")
        if progress.ended:
            lines.append(self._out.painted("last ended", "2"))
            for address in progress.ended:
                lines += self._ended(progress.hosts[address], columns)
        if self.message:
            lines += [
                self._out.painted(line, "33") for line in folded(cleaned(self.message), columns)
            ]
        return lines

    def _heading(self, columns: int) -> list[str]:
        progress = self._progress
        counts, started = progress.counts, read(progress.operation["started_at"])
        filled = BAR_COLUMNS * progress.done // max(progress.total, 1)
        full, empty = ("█", "░") if self._out.shapes else ("#", ".")
        most = limit(progress.operation["options"]["max_failures"], progress.total)
        told = [
            f"{progress.done}/{progress.total}",
            self._count("done", counts["done"]),
            f"running {counts['in_process']}",
            self._count("failed", counts["failed"] + counts["unknown"], f" of {most} allowed"),
        ]
        if progress.cancelling or progress.status != "in_process":
            word = "cancelling" if progress.cancelling else progress.status
            told.append(self._out.painted(word, "33"))
        bar = self._out.painted(full * filled, "32") + empty * (BAR_COLUMNS - filled)
        clock = stopwatch((datetime.now(UTC) - started).total_seconds())
        line = f"{bar}  {'  '.join([*told, clock])}"
        keys = KEYS_PAUSED if progress.status == "paused" else KEYS
        shown = self._out.painted(keys, "2")
        if _shown(line) + 4 + len(keys) <= columns:
            return [f"{line}    {shown}"]
        return [line, shown]

    def _count(self, word: str, number: int, more: str = "") -> str:
        return self._out.painted(f"{word} {number}", SIGNS[word][1] if number else "") + more

    def _host(self, host: HostProgress) -> str:
        since = (datetime.now(UTC) - host.since).total_seconds() if host.since else 0
        wide = max(len(address) for address in self._progress.hosts)
        line = f"  {padded(cleaned(host.address), wide)}  {host.step:8} {stopwatch(since):>6}"
        return f"{line}  {cleaned(host.reason)}" if host.reason else line

    def _ended(self, host: HostProgress, columns: int) -> list[str]:
        shape, sgr = SIGNS[host.outcome]
        word = f"{host.outcome} {shape}" if self._out.shapes else host.outcome
        wide = max(len(address) for address in self._progress.hosts)
        first = (
            f"  {padded(cleaned(host.address), wide)}  {self._out.painted(padded(word, 9), sgr)}"
        )
        more = folded(cleaned(host.reason), max(columns - wide - 15, 24)) if host.reason else [""]
        indent = " " * (wide + 15)
        return [f"{first}  {more[0]}".rstrip(), *(indent + line for line in more[1:])]


def limit(given: int | str, total: int) -> int:
    """A number, or a percentage of all, rounded down."""
    if isinstance(given, str) and given.endswith("%"):
        return int(given[:-1]) * total // 100
    return int(given)


def _shown(line: str) -> int:
    """How many columns a line takes: what paints it takes none."""
    plain = line
    while "\x1b[" in plain:
        before, _, rest = plain.partition("\x1b[")
        plain = before + rest.partition("m")[2]
    return width(plain)
