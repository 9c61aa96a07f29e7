"""Columns of a list, and how they are laid out on a terminal of some width."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, NamedTuple

from commctl.show.text import cleaned, folded, padded, width
from commctl.show.times import exact, short

GAP = "  "
FOLDED_COLUMNS_MIN = 24
"""What a column that folds wants at least, before others are dropped."""
LOOKED_AT_ROWS = 100
"""So many rows say how wide the columns are; wider ones later push what follows."""

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SHORT_ID = 13
"""So many characters of an operation's id tell it from others: its time in milliseconds."""

# Word, shape, colour (SGR), in this order.
SIGNS = {
    "active": ("●", "32"), "ok": ("●", "32"), "done": ("●", "32"), "finished": ("●", "32"),
    "added": ("●", "32"), "well": ("●", "32"),
    "failed": ("✗", "31"), "unknown": ("✗", "31"), "refused": ("✗", "31"),
    "given_up": ("✗", "31"), "failing": ("▲", "33"),
    "degraded": ("▲", "33"), "partial": ("▲", "33"), "paused": ("▲", "33"),
    "in_process": ("◐", "36"), "investigating": ("◐", "36"), "bootstrapping": ("◐", "36"),
    "disassociated": ("○", ""), "waiting": ("○", "2"), "skipped": ("○", "2"),
    "cancelled": ("■", "33"), "same": ("○", "2"),
}  # fmt: skip
BAD = ("failed", "unknown", "refused")


class Column(NamedTuple):
    """A column: its value is a key of the record, or what is made of it."""

    name: str
    of: "str | Callable[[Any], object]"
    kind: str = "text"
    """`text`, `time`, `status`, `id` (an operation's is short), `number`, or `folds`: it takes what
    is left of the width."""
    drop: int = 0
    """0: never dropped, it identifies; else the greater, the earlier. 9: only in wide forms."""

    def value(self, record: Any) -> object:
        """What the record says."""
        return record.get(self.of) if isinstance(self.of, str) else self.of(record)


def plain(column: Column, record: Any) -> str:
    """A cell for programs."""
    value = column.value(record)
    if column.kind == "time":
        return cleaned(exact(None if value is None else str(value)))
    return cleaned(words(value))


def words(value: object) -> str:
    """A value as people read it; "" for none."""
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case dict():
            told = {k: words(said) if isinstance(said, list) else said for k, said in value.items()}
            return ",".join(f"{key}={said}" for key, said in told.items())
        case list() | tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


class Layout:
    """How rows look on a terminal. Without `columns` nothing is dropped or folded."""

    def __init__(
        self,
        columns: Sequence[Column],
        now: datetime,
        fits: int | None,
        *,
        colour: bool,
        shapes: bool,
    ) -> None:
        self._columns = [c for c in columns if fits is None or c.drop < 9]
        self._now = now
        self._fits = fits
        self._colour = colour
        self._shapes = shapes
        self._below: Column | None = None
        """What folds, and has no room beside the others: it has lines of its own."""

    def lines(
        self, records: Iterable[Any], *, header: bool = True, live: bool = False
    ) -> Iterator[str]:
        """The lines of a table, as they can be told; nothing at all without a record.

        Of a `live` one each is told as it comes, and columns grow with what comes.
        """
        waiting = iter(records)
        first = list(islice(waiting, 1 if live else LOOKED_AT_ROWS))
        if not first:
            return
        widths = self._widths([self._cells(record) for record in first], live=live)
        if header:
            yield self._header(widths)
        for record in chain(first, waiting):
            if live:
                before = len(widths)
                widths = [*map(max, widths, map(width, self._cells(record)))]
                self._fit(widths)
                if header and len(widths) < before:
                    yield self._header(widths)
            yield from self._row(record, widths)

    def _header(self, widths: list[int]) -> str:
        names = [column.name.upper() for column in self._columns]
        return self._painted(GAP.join(map(padded, names, widths)).rstrip(), "2")

    def _widths(self, rows: list[list[str]], *, live: bool) -> list[int]:
        """Of the columns that stay; those that do not fit are dropped for good."""
        widths = [
            max(width(text) for text in (column.name, *cells))
            for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        empty = [not any(cells) for cells in zip(*rows, strict=True)]
        for index in reversed(range(len(widths))):  # what nobody has is no news
            if empty[index] and self._columns[index].drop and not live:
                del widths[index], self._columns[index]
        self._fit(widths)
        return widths

    def _fit(self, widths: list[int]) -> None:
        """Drop what there is no room for, and give what folds no more than the others leave."""
        if self._fits is None:
            return
        while self._over(widths) > 0 and any(column.drop for column in self._columns):
            index = max(range(len(widths)), key=lambda i: self._columns[i].drop)
            if self._columns[index].kind == "folds":
                self._below = self._columns[index]
            del widths[index], self._columns[index]
        for index, column in enumerate(self._columns):
            if column.kind == "folds":
                left = self._fits - sum(widths) + widths[index] - len(GAP) * (len(widths) - 1)
                widths[index] = min(widths[index], max(left, FOLDED_COLUMNS_MIN))

    def _over(self, widths: list[int]) -> int:
        """By how much the columns are too wide, were those that fold as narrow as may be."""
        least = [
            min(wide, FOLDED_COLUMNS_MIN) if column.kind == "folds" else wide
            for column, wide in zip(self._columns, widths, strict=True)
        ]
        return sum(least) + len(GAP) * (len(least) - 1) - (self._fits or 0)

    def _cells(self, record: Any) -> list[str]:
        return [self._cell(column, record) for column in self._columns]

    def _cell(self, column: Column, record: Any) -> str:
        value = column.value(record)
        if column.kind == "time" and self._fits is not None:
            return short(None if value is None else str(value), self._now)
        text = plain(column, record)
        if column.kind == "id" and self._fits is not None:
            return ID.sub(lambda found: found[0][:SHORT_ID], text)
        if column.kind == "status" and self._shapes and text in SIGNS:
            return f"{text} {SIGNS[text][0]}"
        return text

    def _row(self, record: Any, widths: list[int]) -> Iterator[str]:
        cells = self._cells(record)
        folds = [
            folded(text, wide) if column.kind == "folds" and self._fits is not None else [text]
            for column, text, wide in zip(self._columns, cells, widths, strict=True)
        ]
        for number in range(max(map(len, folds))):
            parts = []
            for column, lines, wide in zip(self._columns, folds, widths, strict=True):
                text = lines[number] if number < len(lines) else ""
                shown = f"{text:>{wide}}" if column.kind == "number" else padded(text, wide)
                sign = SIGNS.get(text.partition(" ")[0]) if column.kind == "status" else None
                parts.append(self._painted(shown, sign[1]) if sign else shown)
            yield GAP.join(parts).rstrip()
        if self._below and self._fits and (text := plain(self._below, record)):
            for line in folded(text, self._fits - 2 * len(GAP)):
                yield f"{2 * GAP}{line}"

    def _painted(self, text: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{text}\x1b[0m" if sgr and self._colour else text
