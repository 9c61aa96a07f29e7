"""What people would rather look at than read: bars and strips of hosts, as numbers for SVG."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from web.console.frame.words import word

ORDER = ("done", "in_process", "failed", "unknown", "waiting", "skipped")
CELLS_IN_ROW = 50
NAMED_MAX = 200
"""Of more hosts a page would be long, and nobody would find one by hovering."""


class Segment(NamedTuple):
    """A piece of a bar, in hundredths of its length."""

    outcome: str
    begin: float
    length: float


class Bar(NamedTuple):
    """How far an operation is."""

    segments: list[Segment]
    text: str
    """The same in words."""


class Cell(NamedTuple):
    """A host of a strip."""

    x: int
    y: int
    outcome: str
    title: str


class Strip(NamedTuple):
    """Hosts in order of turn, row by row: of few, each by its name; of many, a path an outcome."""

    cells: list[Cell]
    paths: list[tuple[str, str]]
    columns: int
    rows: int
    text: str


def bar(counts: Mapping[str, int]) -> Bar:
    """The bar of an operation; what was skipped has no part in it."""
    taken = [name for name in ORDER if name != "skipped"]
    total = sum(counts[name] for name in taken)
    segments, begin = [], 0.0
    for name in taken:
        length = 100 * counts[name] / total if total else 0.0
        if length:
            segments.append(Segment(name, round(begin, 2), round(length, 2)))
        begin += length
    return Bar(segments, f"{counts['done']} of {total} done{_others(counts)}")


def _others(counts: Mapping[str, int]) -> str:
    told = [f"{counts[n]} {word(n)}" for n in ORDER[1:] if counts[n]]
    return f", {', '.join(told)}" if told else ""


# Any: a record, as JSON has it.
def line(record: dict[str, Any]) -> dict[str, Any]:
    """An operation as a line, with its bar."""
    return record | {"bar": bar(record["counts"])}


def strip(hosts: Iterable[tuple[str, str]], counts: Mapping[str, int]) -> Strip:
    """The strip of hosts: each an address and an outcome."""
    found = list(hosts)
    cells = [
        Cell(number % CELLS_IN_ROW, number // CELLS_IN_ROW, outcome, f"{address}: {word(outcome)}")
        for number, (address, outcome) in enumerate(found)
    ]
    is_many = len(cells) > NAMED_MAX
    paths = {
        name: "".join(f"M{c.x * 10 + 1} {c.y * 10 + 1}h8v8h-8z" for c in cells if c.outcome == name)
        for name in ORDER
    }
    return Strip(
        [] if is_many else cells,
        [(name, path) for name, path in paths.items() if path] if is_many else [],
        CELLS_IN_ROW,
        -(-len(found) // CELLS_IN_ROW),
        bar(counts).text,
    )
