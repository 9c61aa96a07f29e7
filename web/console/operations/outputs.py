"""`/operation/ID/hosts/ADDRESS/output`: what a step has said, the end of it first, and what proves
its outcome.
"""

from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import Response

from domain.names import quoted
from domain.refusal import not_found
from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.pages import Pages
from web.console.operations.evidence import OUTPUT, evidence
from web.http.replies import Reply
from web.http.requests import Request

SHOWN_BYTES = 64 * 1024
"""The last of it; all of it can be downloaded."""

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Outputs:
    """The page of an output."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """The last 64 kB of what a step has said, with control characters shown."""
        said = (await self._api.call(request, "GET", OUTPUT, dict(request.path_params))).body
        found, host = await self._found(request)
        path = f"/operation/{found['id']}/hosts/{quote(host['address'], safe='')}"
        told = ("op", "output", found["id"], host["address"], "-f")
        return self._pages.show(
            request,
            "output.html",
            op=found,
            host=host,
            evidence=await evidence(self._api, request, found, host),
            proof=f"{path}/evidence.json",
            text=bytes(said[-SHOWN_BYTES:]).decode(errors="replace"),
            size=len(said),
            is_cut=len(said) > SHOWN_BYTES,
            output_source="" if found["finished_at"] else _source(path, len(said)),
            download=f"/api/v0{path}/output?raw",
            commands=commands(request, told, f"{path}/output"),
        )

    async def prove(self, request: Request) -> Response:
        """What proves the outcome, as JSON."""
        found, host = await self._found(request)
        told = await evidence(self._api, request, found, host)
        return Reply(orjson.dumps(told, option=orjson.OPT_INDENT_2))

    async def _found(self, request: Request) -> tuple[Record, Record]:
        """The operation, and the host in it. Refuses one that it has nothing to do with."""
        name, address = request.path_params["id"], request.path_params["address"]
        found: Record = await self._api.get(request, "/operation/{id}", id=name)
        for host in found["hosts"]:
            if host["address"] == address:
                return found, host
        raise not_found(f"There is no host {quoted(address)} in operation {quoted(name)}.")


def _source(path: str, offset: int) -> str:
    return f"/api/v0{path}/output?offset={offset}"
