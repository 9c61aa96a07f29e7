"""What people do for hosts at any time: label them, and have them looked at now."""

from hashlib import blake2b

from domain.event import shifted
from domain.labels import checked_labels
from domain.log import recorder
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import invalid, stale
from projections.fleet import queries
from projections.reads import Reads
from web.http.replies import DIGEST_BYTES, ENTITY_TAG, UNSTORED, Reply, digested, json_body
from web.http.requests import Request
from web.resources.fleet_filter import checked_filter, must_be_a_cluster
from web.schemas import bodies
from web.schemas.fleet_bodies import CheckBody, FleetCheckBody, LabelsBody
from web.schemas.path_names import known_address

CHECK_PAUSE_S = 5
"""A host is not looked at more often on request."""
CHECKED_MAX = 1_000
"""So many hosts one request may have looked at."""


class HostCare:
    """The handlers of `/host/{address}/labels`, `/host/{address}/check` and `/fleet/check`."""

    def __init__(self, writer: Writer, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    async def show_labels(self, request: Request) -> Reply:
        """The labels of a host."""
        found = await self._reads.point(queries.labels, known_address(request))
        return digested(request, found)

    async def change_labels(self, request: Request) -> Reply:
        """Give a host these labels and no others; with `If-Match`, only in place of those."""
        address = known_address(request)
        body = await bodies.read(request, LabelsBody)
        labels = checked_labels(body.model_extra or {})
        wanted = [value for name, value in request.scope["headers"] if name == b"if-match"]

        def change(unit: Unit) -> None:
            host = unit.host(address)
            host.must_exist()
            if wanted and not _has(wanted, json_body(host.labels)):
                raise stale(f"{address} has other labels by now: read them again.")
            host.change_labels(labels)

        await self._writer.perform(request.act(), change)
        return Reply(json_body(labels), 200, UNSTORED)

    async def check(self, request: Request) -> Reply:
        """Have a host looked at now, whatever the pause."""
        address = known_address(request)
        body = await bodies.read(request, CheckBody)
        return await self._check(request, [address], updates=body.updates)

    async def check_many(self, request: Request) -> Reply:
        """Have all hosts that the filters let through looked at now."""
        body = await bodies.read(request, FleetCheckBody)
        request.must_be_allowed_in(body.cluster)
        which = checked_filter(body.model_dump(exclude_none=True))
        await must_be_a_cluster(self._reads, which)
        found = await self._reads.scan(queries.addresses, which, CHECKED_MAX + 1)
        if len(found) > CHECKED_MAX:
            raise invalid(
                f"More than {CHECKED_MAX} hosts match: each is looked at in its interval anyway;"
                " ask for fewer."
            )
        return await self._check(request, found, updates=body.updates)

    async def _check(self, request: Request, addresses: list[str], *, updates: bool) -> Reply:
        act = request.act()
        not_since = shifted(act.at, -CHECK_PAUSE_S)

        def ask(unit: Unit) -> int:
            before = recorder.head(unit.tx).position
            for address in addresses:
                host = unit.host(address)
                if host.registered or len(addresses) == 1:
                    host.request_check(not_since, updates=updates)
            return before

        position = await self._writer.perform(act, ask)
        return Reply(json_body({"hosts": addresses, "position": position}), 202, UNSTORED)


def _has(wanted: list[bytes], body: bytes) -> bool:
    tag = blake2b(body, digest_size=DIGEST_BYTES).hexdigest().encode()
    return any(value.strip() == b"*" or tag in ENTITY_TAG.findall(value) for value in wanted)
