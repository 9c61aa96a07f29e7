"""The rows of the table of routes that are about policies of clusters, and locks."""

from typing import Annotated, Any

from pydantic import Field
from starlette.types import Receive, Scope, Send

from web.http.requests import SHOW_KEY
from web.resources.at_time import QUERY as AT
from web.resources.rollouts.budgets import Budgets
from web.resources.rollouts.fleet_lock import HEADER, FleetLock, told
from web.routing.description import Content, Description, makes, reads, removes
from web.routing.route import Route
from web.schemas.rollout_bodies import (
    FleetLockBody,
    FleetLockDone,
    FleetLockError,
    LockRecord,
    PolicyBody,
    PolicyRecord,
)

V0 = "/api/v0"
GONE = "not_found"
POLICY = f"{V0}/cluster/{{name}}/policy"
LOCKS = f"{V0}/cluster/{{name}}/locks"
# Any: annotations.
SAYS: dict[str, Any] = {HEADER: Annotated[str, Field(pattern="^true$", description="`true`.")]}


class LockRoute(Route):
    """A route of FleetLock: its clients are told all that is refused in the protocol's words."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path, whatever its verb."""
        scope[SHOW_KEY] = told
        await super().handle(scope, receive, send)


def _lock(done: str) -> Description:
    refused = {
        400: "The request is none of the protocol.",
        403: "This client is answered nothing.",
        404: "There is no such cluster, or no such member of it.",
        408: "The request came too slowly.",
        409: "There is no slot free: try again later.",
        413: "The body is too large.",
        503: "The database is away: try again later.",
    }
    answers = {200: Content(FleetLockDone, done=done)}
    answers |= {status: Content(FleetLockError, done=why) for status, why in refused.items()}
    return Description(answers, body=FleetLockBody, headers=SAYS, needed_headers=(HEADER,))


def rollout_routes(budgets: Budgets, locks: FleetLock) -> list[Route]:
    """How many members may be away at once, and who is by themselves."""
    takes, gives = _lock("It was let go: it may restart."), _lock("It was noted: its slot is free.")
    return [
        Route("GET", POLICY, "viewer", budgets.show_policy, reads(PolicyRecord, GONE, query=AT)),
        Route(
            "PUT",
            POLICY,
            "admin",
            budgets.change_policy,
            makes(PolicyRecord, PolicyBody, GONE),
            "cluster",
        ),
        Route("GET", LOCKS, "viewer", budgets.show_locks, reads(list[LockRecord], GONE, query=AT)),
        Route("DELETE", f"{LOCKS}/{{address}}", "admin", budgets.release, removes(GONE), "cluster"),
        LockRoute("POST", "/v1/pre-reboot", "anyone", locks.take, takes),
        LockRoute("POST", "/v1/steady-state", "anyone", locks.give, gives),
    ]
