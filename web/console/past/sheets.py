"""Rows for whoever opens a file in a spreadsheet."""

import csv
from collections.abc import Sequence
from io import StringIO

HEADERS = (
    "id",
    "time",
    "actor",
    "subject",
    "type",
    "what",
    "why",
    "note",
    "request",
    "follows_from",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins like that is computed by spreadsheets, whoever said it: a host may have."""


def csv_row(cells: Sequence[str]) -> bytes:
    """One row. What would be a formula has an apostrophe before it."""
    out = StringIO()
    csv.writer(out).writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)
    return out.getvalue().encode()
