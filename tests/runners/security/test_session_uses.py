"""Uses of sessions that the database does not take are no trouble of anybody's."""

import asyncio
from typing import Any, cast

import pytest

from domain.log.engine import OperationalError, PersistenceError
from domain.log.writer import Writer
from domain.refusal import unavailable
from projections.reads import Reads
from runners.security.session_uses import SessionUses

NOW = 1_800_000_000.0


class Away:
    """A writer whose database is away."""

    def __init__(self, error: Exception) -> None:
        self.asked = 0
        self._error = error

    async def perform(self, *what: Any) -> None:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize(
    "error", [OperationalError("gone"), PersistenceError("gone"), unavailable("Not now.")]
)
async def test_a_use_that_is_not_written_leaves_no_error_behind(error: Exception) -> None:
    left: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: left.append(what))
    writer = Away(error)
    uses = SessionUses(cast(Reads, None), cast(Writer, writer))
    uses.note("one", NOW)
    writing = list(uses._writing)
    await asyncio.wait(writing)
    assert [task.exception() for task in writing] == [None]
    assert (writer.asked, uses.known("one"), left) == (1, NOW, [])
