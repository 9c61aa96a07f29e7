"""Windows over HTTP."""

from collections.abc import Callable
from functools import partial

from domain.aggregates.planning.window import checked_hours
from domain.log.writer import Writer
from domain.refusal import not_found
from projections.hosts import Answer
from projections.past.past_reads import PastReads
from projections.planning import windows
from projections.reads import Reads
from web.http.replies import Reply, answered, created, deleted, digested
from web.http.requests import Request
from web.resources.at_time import asked_at, told
from web.schemas import bodies
from web.schemas.path_names import known_name, new_name
from web.schemas.planning.bodies import WindowBody


class Windows:
    """The handlers of `/windows` and `/window/{name}`. `now()` gives the time."""

    def __init__(
        self, writer: Writer, reads: Reads, past: PastReads, now: Callable[[], str]
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._past = past
        self._now = now

    async def index(self, request: Request) -> Reply:
        """All windows, and which of them are open."""
        if (at := asked_at(request)) is not None:
            body, tag = await told(request, self._past.fleet(at, windows.windows, at))
            return answered(request, Answer(body, tag))
        return digested(request, await self._reads.fresh(windows.windows, self._now()))

    async def show(self, request: Request) -> Reply:
        """One window: when it opens, and whether it is open."""
        name = known_name(request, "window")
        if (at := asked_at(request)) is not None:
            query = partial(windows.window, at=at)
            body, tag = await told(request, self._past.window(at, query, name))
            if body is None:
                raise not_found(f"There was no window {name} at {at}.")
            return answered(request, Answer(body, tag))
        return digested(
            request, _found(await self._reads.fresh(windows.window, name, self._now()), name)
        )

    async def define(self, request: Request) -> Reply:
        """Define a window, or change it: also for those that wait for it."""
        name = new_name(request)
        body = await bodies.read(request, WindowBody)
        hours = checked_hours(body.zone, body.starts, body.duration_s, body.except_dates)
        act = request.act()
        record = await self._writer.perform(
            act,
            lambda unit: unit.window(name).define(hours),
            lambda tx, _: _found(windows.window(tx, name, act.at), name),
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Remove a window that nothing uses."""
        name = known_name(request, "window")
        await self._writer.perform(request.act(), lambda unit: unit.window(name).remove())
        return deleted()


def _found(body: bytes | None, name: str) -> bytes:
    if body is None:
        raise not_found(f"There is no window {name}: define it with PUT first.")
    return body
