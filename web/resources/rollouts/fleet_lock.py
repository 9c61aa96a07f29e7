"""FleetLock, the protocol by which hosts of CoreOS ask before they restart by themselves.

Its clients (Zincati and others) have no credentials, so they are believed by where they come from:
only networks that the settings name are answered. A group is a cluster; a host is a member that has
the client's id as the label `fleetlock-id`, or comes from the member's address.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from domain.commands import budget
from domain.commands.holds import NOBODY_ASKED, still_good
from domain.event import Act
from domain.labels import is_value
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal, not_found
from projections.fleet import queries
from projections.fleet.matching import HostFilter
from web.http.clients import Network
from web.http.problems import KINDS, Problem
from web.http.replies import Header, Reply, json_body
from web.http.requests import Request
from web.schemas import bodies
from web.schemas.bodies import host_address
from web.schemas.rollout_bodies import FleetLockBody

HEADER = "fleet-lock-protocol"
LABEL = "fleetlock-id"
STATUS = {"invalid": 400, "not_found": 404, "conflict": 409, "unavailable": 503}
NO_STORE = (b"cache-control", b"no-store")
JSON = (b"content-type", b"application/json")
SHAPE = (
    "It has client_params, with id (1 to 128 visible characters of ASCII) and group (the name of a"
    " cluster)."
)


AskGates = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Why each of some gates says no; "" where it does not."""


async def nobody_asks(names: Collection[str]) -> Mapping[str, str]:
    """Where there are no gates."""
    return dict.fromkeys(names, "nobody can ask it")


class FleetLock:
    """The handlers of `/v1/pre-reboot` and `/v1/steady-state`, for clients of these networks."""

    def __init__(self, writer: Writer, networks: Sequence[Network], ask: AskGates) -> None:
        self._writer = writer
        self._ask = ask
        self._networks = networks

    async def take(self, request: Request) -> Reply:
        """Take a slot before a restart; whoever has one already keeps it."""
        return await self._answer(request, takes=True)

    async def give(self, request: Request) -> Reply:
        """Give the slot back after a restart; without one, nothing changes."""
        return await self._answer(request, takes=False)

    async def _answer(self, request: Request, *, takes: bool) -> Reply:
        if not self._is_let_in(request):
            return _error(403, "not_allowed", "This service gives no locks to this client.")
        if request.headers.get(HEADER) != "true":
            return _error(400, "invalid", f"The header {HEADER} must be true.")
        try:
            body = await bodies.read(request, FleetLockBody)
        except Problem as problem:
            return _error(400, "invalid", f"{problem.detail} {SHAPE}")
        client = body.client_params
        verdicts: Mapping[str, str] = NOBODY_ASKED

        def act() -> Act:
            return Act(f"fleetlock:{client.id}", request.id, request.now())

        def perform(unit: Unit) -> None:
            address = _member(unit, request, client.group, client.id)
            if takes:
                known = still_good(verdicts, unit.act.at, request.now())
                budget.take_lock(unit, client.group, address, client.id, known)
            else:
                budget.give_lock(unit, client.group, address, client.id)

        try:
            try:
                await self._writer.perform(act(), perform)
            except budget.Unasked as unasked:
                verdicts = await self._ask((unasked.gate,))
                await self._writer.perform(act(), perform)
        except Refusal as refusal:
            return _error(STATUS.get(refusal.kind, 503), refusal.kind, refusal.sentence)
        return Reply(json_body({}), 200, (JSON, NO_STORE))

    def _is_let_in(self, request: Request) -> bool:
        origin = request.origin
        try:
            address = ipaddress.ip_address(origin.address)
        except ValueError:
            return False
        # Where a proxy does not say for whom it asks, nobody knows who it is.
        return not origin.doubt and any(address in network for network in self._networks)


def told(request: Request, problem: Problem) -> Reply:
    """What is refused before a handler is asked, in the words of the protocol."""
    kind = KINDS[problem.kind]
    return _error(kind.status, problem.kind, problem.detail, (*kind.headers, *problem.headers))


def _member(unit: Unit, request: Request, cluster: str, client: str) -> str:
    """The address of the member that asks. Refuses strangers."""
    unit.cluster(cluster).must_exist()
    if is_value(client):
        which = HostFilter(cluster=cluster, labels=(f"{LABEL}={client}",))
        found = queries.addresses(unit.tx, which, 2)
        if len(found) == 1:
            return found[0]
    try:
        address = host_address(request.origin.address)
    except Refusal:
        address = ""
    if address in unit.cluster(cluster).members:
        return address
    raise not_found(
        f"Neither the address of this client nor the label {LABEL}={client} is one member of"
        f" cluster {cluster}."
    )


def _error(status: int, kind: str, value: str, headers: Sequence[Header] = ()) -> Reply:
    return Reply(json_body({"kind": kind, "value": value}), status, (JSON, NO_STORE, *headers))
