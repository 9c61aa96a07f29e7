"""An operation in place on a terminal: a bar, counts, who is in process, who ended last."""

import shutil
import sys
from datetime import UTC, datetime

from commctl.show.output import Output
from commctl.show.table import SIGNS
from commctl.show.text import cleaned, folded, padded, width
from commctl.show.times import read, stopwatch
from commctl.watch.progress import HostProgress, Progress

BAR_COLUMNS, BAR_COLUMNS_MIN = 24, 8
REASON_COLUMNS_MIN = 24
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
        if (lines := self._lines()) != self._drawn:
            self._draw([], lines)

    def say(self, lines: list[str]) -> None:
        """Lines that stay, above what is drawn: in one writing."""
        self._draw([cleaned(line) for line in lines], self._lines())

    def _draw(self, kept: list[str], lines: list[str]) -> None:
        self._write(self._erased() + "".join(f"{line}\r\n" for line in (*kept, *lines)))
        self._drawn = lines

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
        """No more than the terminal has: what has left it above cannot be drawn over."""
        columns, rows = self._out.columns, shutil.get_terminal_size().lines
        message = folded(cleaned(self.message), columns) if self.message else []
        lines = self._heading(columns)
        if self._progress.waits:
            lines += folded(cleaned(f"waits: {self._progress.waits}"), columns)
        room = max(rows - 1 - len(lines) - len(message), 1)
        ended = self._ended(columns, room // 2)
        lines += [*self._running(columns, room - len(ended)), *ended]
        return [*lines, *(self._out.painted(line, "33") for line in message)][: max(rows - 1, 1)]

    def _running(self, columns: int, room: int) -> list[str]:
        """The hosts in their turn, the longest first, in so many lines."""
        lines: list[str] = []
        running, wide = self._progress.in_process, self._wide()
        for number, host in enumerate(running):
            since = (datetime.now(UTC) - host.since).total_seconds() if host.since else 0
            told = f"  {padded(cleaned(host.address), wide)}  {host.step:8} {stopwatch(since):>6}"
            more = _beside(told, host.reason, columns)
            left = room - len(lines) - (number < len(running) - 1)  # a line for those that follow
            if len(more) > left:
                return [*lines, f"  and {len(running) - number} more"][: max(room, 0)]
            lines += more
        return lines

    def _ended(self, columns: int, room: int) -> list[str]:
        """Those that ended last, in so many lines; the newest are the last to be left out."""
        blocks: list[list[str]] = []
        for address in reversed(self._progress.ended):
            block = self._ended_host(self._progress.hosts[address], columns)
            if sum(map(len, blocks)) + len(block) + 1 > room:
                break
            blocks.append(block)
        lines = [line for block in reversed(blocks) for line in block]
        return [self._out.painted("last ended", "2"), *lines] if lines else []

    def _heading(self, columns: int) -> list[str]:
        progress = self._progress
        counts, started = progress.counts, read(progress.operation["started_at"])
        most = limit(progress.operation["options"]["max_failures"], progress.total)
        told = [
            f"{progress.done}/{progress.total}",
            *((f"wave {progress.wave} of {progress.waves}",) if progress.waves else ()),
            self._count("done", counts["done"]),
            f"running {counts['in_process']}",
            self._count("failed", counts["failed"] + counts["unknown"], f" of {most} allowed"),
        ]
        if progress.cancelling or progress.status != "in_process":
            word = "cancelling" if progress.cancelling else progress.status
            told.append(self._out.painted(word, "33"))
        told.append(stopwatch((datetime.now(UTC) - started).total_seconds()))
        keys = KEYS_PAUSED if progress.status == "paused" else KEYS
        shown = [self._out.painted(line, "2") for line in folded(keys, columns)]
        line = "  ".join(told)
        room = columns - _shown(line) - 2
        if room >= BAR_COLUMNS + 4 + len(keys):
            return [f"{self._bar(BAR_COLUMNS)}  {line}    {shown[0]}"]
        if room >= BAR_COLUMNS_MIN:
            return [f"{self._bar(min(room, BAR_COLUMNS))}  {line}", *shown]
        return [self._bar(min(columns, BAR_COLUMNS)), *folded(_plain(line), columns), *shown]

    def _bar(self, columns: int) -> str:
        filled = columns * self._progress.done // max(self._progress.total, 1)
        full, empty = ("█", "░") if self._out.shapes else ("#", ".")
        return self._out.painted(full * filled, "32") + empty * (columns - filled)

    def _count(self, word: str, number: int, more: str = "") -> str:
        return self._out.painted(f"{word} {number}", SIGNS[word][1] if number else "") + more

    def _ended_host(self, host: HostProgress, columns: int) -> list[str]:
        shape, sgr = SIGNS[host.outcome]
        word = f"{host.outcome} {shape}" if self._out.shapes else host.outcome
        outcome = self._out.painted(padded(word, 9), sgr)
        told = f"  {padded(cleaned(host.address), self._wide())}  {outcome}"
        return _beside(told, host.reason, columns)

    def _wide(self) -> int:
        return max(map(len, self._progress.hosts))


def _beside(told: str, reason: str, columns: int) -> list[str]:
    """A line, and a text in lines of its own beside it."""
    indent = _shown(told) + 2
    first, *more = folded(cleaned(reason), max(columns - indent, REASON_COLUMNS_MIN))
    return [f"{told}  {first}".rstrip(), *(" " * indent + line for line in more)]


def limit(given: int | str, total: int) -> int:
    """A number, or a percentage of all, rounded down."""
    if isinstance(given, str) and given.endswith("%"):
        return int(given[:-1]) * total // 100
    return int(given)


def _shown(line: str) -> int:
    """How many columns a line takes: what paints it takes none."""
    return width(_plain(line))


def _plain(line: str) -> str:
    while "\x1b[" in line:
        before, _, rest = line.partition("\x1b[")
        line = before + rest.partition("m")[2]
    return line
