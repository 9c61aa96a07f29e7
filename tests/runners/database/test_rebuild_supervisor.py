"""Whoever has read models made anew goes on, whatever becomes of the process that does it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from projections.all import PROJECTIONS
from projections.rebuilding.live_tables import LiveTables
from runners.database import rebuild_supervisor
from runners.database.rebuild_supervisor import LINE_BYTES_MAX, Rebuilding
from runners.scheduling.backoff import Pauses
from runners.settings.settings import Settings
from tests.runners.stage import until
from tests.support.stores import Store, sqlite_store

__all__ = ["sqlite_store"]

NAME = PROJECTIONS[0].name


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"import sys; print('x' * {2 * LINE_BYTES_MAX}); sys.stdin.read()", "a line of more than"),
        ("print('Traceback'); raise SystemExit(1)", "Traceback"),
        ("", "The process that rebuilds has ended."),
    ],
)
async def test_a_process_that_breaks_is_said_and_tried_again(
    sqlite_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    reason: str,
) -> None:
    broken = tmp_path / "python"
    broken.write_text(f"#!{sys.executable}\n{script}\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    monkeypatch.setattr(rebuild_supervisor, "RETRY_PAUSES", Pauses(0.01, 0.02))
    models, said = LiveTables(PROJECTIONS), list[tuple[str, Any]]()
    models.outdated = {NAME: "another version made it"}
    rebuilding = Rebuilding(
        Settings(data=tmp_path),
        sqlite_store.engine,
        models,
        lambda event, **told: said.append((event, told.get("reason"))),
    )
    task = asyncio.create_task(rebuilding.run())
    failed = "projection.rebuild_failed"
    await until(lambda: [event for event, _ in said].count(failed) >= 2 or task.done())
    assert not task.done(), task
    task.cancel()
    await asyncio.wait((task,))
    assert all(reason in why for event, why in said if event == failed)
