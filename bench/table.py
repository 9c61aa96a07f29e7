"""The one table that a run prints."""

from collections.abc import Sequence

from bench.figure import Figure

HEAD = ("figure", "ours", "bare", "unit", "value", "spread", "bound", "met")
NUMBERS = frozenset({"ours", "bare", "value"})
VERDICTS = {True: "yes", False: "NO", None: ""}


def row(figure: Figure) -> tuple[str, ...]:
    """A figure in the words of the table."""
    low, high = figure.spread or (figure.value, figure.value)
    return (
        figure.name,
        _number(figure.ours),
        _number(figure.bare),
        figure.unit,
        f"{figure.value:.2f}",
        f"{low:.2f}-{high:.2f}" if figure.spread else "",
        "" if figure.limit is None else f"{figure.bound} {figure.limit:g}",
        VERDICTS[figure.met],
    )


def table(figures: Sequence[Figure]) -> str:
    """All figures, in columns."""
    rows = [HEAD, *map(row, figures)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEAD))]
    lines = []
    for cells in rows:
        padded = [
            text.rjust(width) if title in NUMBERS else text.ljust(width)
            for title, text, width in zip(HEAD, cells, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
