"""What became of counts over time, as layers of SVG paths, in words, and as rows of a table."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from projections.past.course import STATUSES, Course
from web.console.frame.words import exact, word
from web.console.past.slider import WIDTH, Scale

HEIGHT = 120
COLUMNS = 200
"""So many times of a chart differ."""
ROWS_MAX = 12
LAYERS = ("failed", "investigating", "bootstrapping", "disassociated", "active")
"""From below: what asks for somebody is at the bottom, where it is seen."""
ENDED = ("failed", "unknown", "done")

# Any: a record, as JSON has it.
Record = dict[str, Any]
Moment = tuple[str, Mapping[str, int]]
"""From a time on there were so many of each."""


class Layer(NamedTuple):
    """One of the counts, as an area that stands on those below it."""

    name: str
    path: str


class Chart(NamedTuple):
    """Counts over time."""

    layers: list[Layer]
    names: list[str]
    rows: list[Moment]
    top: int
    begin: str
    end: str
    text: str
    read_to: str = ""
    """Where the log was not read to the end of the chart yet, how far it was."""


def chart(
    moments: Sequence[Moment], names: Sequence[str], end: str, whole: int = 0
) -> Chart | None:
    """The chart from the first of the moments to an end; None where there is too little to see.

    It is as high as the largest sum, or as the whole.
    """
    if len(moments) < 2:
        return None
    begin = moments[0][0]
    shown = _columns(moments, Scale(begin, end))
    top = max(whole, *(sum(counts.values()) for _, counts in shown))
    there = [name for name in names if any(counts.get(name) for _, counts in shown)]
    if not top:
        return None
    every = -(-len(moments) // ROWS_MAX)
    rows = [*moments[: -1 if every > 1 else None : every], *(moments[-1:] if every > 1 else ())]
    return Chart(
        _layers(shown, there, top),
        there,
        rows,
        top,
        begin,
        end,
        _told(moments, there, begin, end),
    )


def _columns(moments: Sequence[Moment], scale: Scale) -> list[tuple[float, Mapping[str, int]]]:
    """The last of the moments of each column."""
    found: dict[float, Mapping[str, int]] = {}
    for time, counts in moments:
        found[_column(scale.x(time))] = counts
    return list(found.items())


def _column(x: float) -> float:
    """Where a column begins: the last has its width, too, so that how it ended is seen."""
    return min(x // (WIDTH / COLUMNS), COLUMNS - 1) * (WIDTH / COLUMNS)


def _layers(
    shown: Sequence[tuple[float, Mapping[str, int]]], names: Sequence[str], top: int
) -> list[Layer]:
    """Steps: a count holds until the next."""
    layers = []
    below = [0] * len(shown)
    for name in names:
        above = [low + counts.get(name, 0) for low, (_, counts) in zip(below, shown, strict=True)]
        up = "".join(
            f"V{_y(count, top)}H{x:g}"
            for count, x in zip(above, [*(x for x, _ in shown[1:]), WIDTH], strict=True)
        )
        down = "".join(
            f"V{_y(count, top)}H{x:g}"
            for count, (x, _) in zip(reversed(below), reversed(shown), strict=True)
        )
        layers.append(Layer(name, f"M{shown[0][0]:g} {_y(above[0], top)}{up}{down}z"))
        below = above
    return layers


def _y(count: int, top: int) -> str:
    return f"{HEIGHT - HEIGHT * count / top:.4g}"


def _told(moments: Sequence[Moment], names: Sequence[str], begin: str, end: str) -> str:
    last = moments[-1][1]
    told = [
        f"{word(name)} {last.get(name, 0)}, {max(c.get(name, 0) for _, c in moments)} at most"
        for name in reversed(names)
    ]
    return f"From {exact(begin)} to {exact(end)}: {'; '.join(told)}."


def of_fleet(course: Course, end: str) -> Chart | None:
    """Hosts by status over the time of the log, up to a time."""
    read_to = course.place.recorded_at if not course.is_whole else end
    is_cut, end = read_to < end, min(read_to, end)
    moments: list[Moment] = [
        (point.time, dict(zip(STATUSES, point.counts, strict=True)))
        for point in course.points
        if point.time <= end
    ]
    if len(moments) == len(course.points):  # of those that were thinned out the last may be one
        moments.append((end, dict(zip(STATUSES, course.now, strict=True))))
    found = chart(moments, LAYERS, end)
    return found._replace(read_to=end) if found and is_cut else found


def of_operation(found: Record, now: str) -> Chart | None:
    """Hosts of an operation that have ended, over its time."""
    ended = sorted(
        (host["finished_at"].rstrip("Z"), host["outcome"])
        for host in found["hosts"]
        if host["finished_at"] and host["outcome"] in ENDED
    )
    if len(ended) < 2:
        return None
    begin, end = found["started_at"].rstrip("Z"), (found["finished_at"] or now).rstrip("Z")
    moments = _counted(ended, begin, Scale(begin, end))
    taken = sum(found["counts"].values()) - found["counts"]["skipped"]
    return chart(moments, ENDED, end, taken)


def _counted(ended: Sequence[tuple[str, str]], begin: str, scale: Scale) -> list[Moment]:
    """How many have ended how, after each of them; of very many, once a column."""
    counts = dict.fromkeys(ENDED, 0)
    moments: list[Moment] = [(begin, dict(counts))]
    is_each = len(ended) <= COLUMNS
    for _, group in groupby(ended, lambda each: each if is_each else _column(scale.x(each[0]))):
        some = list(group)
        for _, outcome in some:
            counts[outcome] += 1
        moments.append((some[-1][0], dict(counts)))
    return moments
