"""A rebuild of read models in a test."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from projections.all import PROJECTIONS
from projections.projection import Projection
from projections.rebuilding import rebuild
from projections.rebuilding.rebuild import Rebuilt
from projections.rebuilding.scratch import Scratch
from projections.rebuilding.verification import digest
from tests.support.stores import Store

HOSTS, CLUSTERS = PROJECTIONS[:2]


def rebuilt(store: Store, path: Path, projections: Sequence[Projection] = PROJECTIONS) -> Rebuilt:
    """Rebuild to the end."""
    with Scratch(path / "scratch.db", projections) as scratch:
        return rebuild.rebuild(store.engine, projections, scratch)


def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every batch."""
    monkeypatch.setattr(rebuild, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(rebuild, "SAVE_SHARE", float("inf"))


def digests(store: Store) -> list[str]:
    """Of all projections."""
    with store.engine.snapshot() as tx:
        return [digest(tx, projection) for projection in PROJECTIONS]


def write(store: Store, *statements: str) -> None:
    """Change tables by hand."""
    with store.engine.append(1) as appending:
        for sql in statements:
            appending.tx.execute(sql)
        appending.commit()
