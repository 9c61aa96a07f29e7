"""An export that is short, or no export, is told for what it is."""

import pytest

from runners.cli.log import verification
from runners.cli.main import run
from tests.runners.cli.test_log_check import options
from tests.runners.proof.test_tampering import CHANGED, FIRST, Kept, kept
from tests.support.stores import postgres_store, sqlite_store, store

__all__ = ["kept", "postgres_store", "sqlite_store", "store"]


@pytest.mark.parametrize("position", [2, CHANGED])
def test_what_is_missing_in_the_middle_is_named_also_by_one_newer_checkpoint(
    kept: Kept, position: int
) -> None:
    kept.verdict()
    rows = kept.directory / "rows"
    lines = rows.read_bytes().splitlines(keepends=True)[: FIRST - 1]
    rows.write_bytes(b"".join(lines[: position - 1] + lines[position:]))
    status = run(
        ["log", "verify", str(rows), f"--checkpoint={kept.directory / 'early'}", "--key", kept.key]
    )
    said = kept.capsys.readouterr().out
    assert (status, f"position {position} is the first that is not there" in said) == (1, True)
    rows.write_bytes(b"".join(lines))
    run(["log", "verify", str(rows), f"--checkpoint={kept.directory / 'early'}", "--key", kept.key])
    assert f"what follows position {FIRST - 1} is missing" in kept.capsys.readouterr().out


def test_what_is_no_export_of_rows_is_told_as_that(kept: Kept) -> None:
    plain = kept.directory / "plain"
    assert run(["log", "export", *options(kept.store)]) == 0
    plain.write_text(kept.capsys.readouterr().out)
    late = f"--checkpoint={kept.directory / 'late'}"
    assert run(["log", "verify", str(plain), late, "--key", kept.key]) == 1
    assert f"{plain} does not begin with a row" in kept.capsys.readouterr().out


def test_a_line_without_an_end_is_no_row(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "CHUNK_BYTES", 100)
    monkeypatch.setattr(verification, "LINE_BYTES_MAX", 10_000)
    assert kept.verdict()[0] == 0
    rows = kept.directory / "rows"
    with rows.open("ab") as file:
        file.write(b"x" * 20_000)
    late = f"--checkpoint={kept.directory / 'late'}"
    assert run(["log", "verify", str(rows), late, "--key", kept.key]) == 1
    assert "is longer than 10000 bytes" in kept.capsys.readouterr().out
