"""An investigator on a stage."""

from collections.abc import AsyncIterator

import pytest

from tests.runners.stage import Stage
from tests.support.stores import Store, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "stage", "store"]


@pytest.fixture
async def stage(sqlite_store: Store) -> AsyncIterator[Stage]:
    """An investigator that runs, four looks at once."""
    async with Stage(sqlite_store).opened() as stage:
        yield stage
