"""A table that goes on, as of `history --follow`."""

from datetime import UTC, datetime

from commctl.show.table import Column, Layout

COLUMNS = (Column("what", "what"), Column("who", "who", drop=1))


def test_the_header_is_told_again_when_a_column_goes() -> None:
    layout = Layout(COLUMNS, datetime.now(UTC), 20, colour=False, shapes=False)
    rows = [{"what": "one", "who": "ada"}, {"what": "x" * 18, "who": "ada"}, {"what": "two"}]
    lines = list(layout.lines(rows, live=True))
    assert [line.split() for line in lines] == [
        ["WHAT", "WHO"], ["one", "ada"], ["WHAT"], ["x" * 18], ["two"],
    ]  # fmt: skip
    assert len(list(layout.lines(rows, header=False, live=True))) == len(rows)
