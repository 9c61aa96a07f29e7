"""What is kept of looks at hosts that failed: when the next is, and which request was answered."""

from domain.aggregates.host import Host
from domain.event import shifted
from tests.runners.stage import FACTS, NO_SUDO, NOW, Stage, until
from tests.support.stores import Store

A = "10.0.0.1"


async def test_a_failed_host_is_told_when_it_is_looked_at_next(sqlite_store: Store) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened(pauses_s=3600.0):
        await stage.register(A)
        await stage.end(A, NO_SUDO)
        await until(lambda: stage.looked_at(A))
        request, soon = stage.looked_at(A) or ("", "")
        assert (request, NOW < soon <= shifted(NOW, 3600.0)) == ("", True)
    async with stage.opened(pauses_s=3600.0):  # a random time within the first pause
        await until(lambda: stage.looked_at(A) != (request, soon))
        assert NOW < (stage.looked_at(A) or ("", ""))[1] <= shifted(NOW, 3600.0)


async def test_a_look_answers_the_request_that_it_began_after(sqlite_store: Store) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened(pauses_s=3600.0):
        await stage.register(A)
        await until(lambda: A in stage.look.under_way)
        stage.hears.clear()
        await stage.do(lambda unit: unit.host(A).request_check(""))
        await stage.end(A, NO_SUDO)
        await until(lambda: stage.looked_at(A))
        assert (stage.looked_at(A) or ("", ""))[0] == "", "it had begun before"
        stage.hears.set()
        await stage.end(A, NO_SUDO)
        await until(lambda: (stage.looked_at(A) or ("", ""))[0] == NOW)


async def test_a_host_that_was_missed_by_others_is_told_too(sqlite_store: Store) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened(pauses_s=3600.0):
        await stage.register(A)
        await stage.end(A, FACTS)
        await stage.until_status(A, "disassociated")
        assert stage.looked_at(A) is None
        await stage.do(lambda unit: Host.fail(unit.host(A), "unreachable", "It is off."))
        await until(lambda: stage.looked_at(A))
