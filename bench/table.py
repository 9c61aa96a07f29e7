"""The one table that a run prints."""

from collections.abc import Sequence

from bench.figure import Figure

HEAD = ("figure", "ours", "bare", "unit", "ratio", "promised", "")
VERDICTS = {True: "reached", False: "MISSED", None: ""}


def row(figure: Figure) -> tuple[str, ...]:
    """A figure in the words of the table."""
    promised = "" if figure.limit is None else f"{figure.bound} {figure.limit:g}"
    return (
        figure.name,
        _number(figure.ours),
        _number(figure.bare),
        figure.unit,
        f"{figure.ratio:.2f}",
        promised,
        VERDICTS[figure.reached],
    )


def table(figures: Sequence[Figure]) -> str:
    """All figures, in columns."""
    rows = [HEAD, *map(row, figures)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEAD))]
    lines = []
    for cells in rows:
        padded = [
            text.rjust(width) if column in (1, 2, 4) else text.ljust(width)
            for column, (text, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
