"""`/operation/ID/hosts/ADDRESS/output`: what a step has said, the end of it first."""

import shlex
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.pages import Pages
from web.console.operations.operations import evidence
from web.http.requests import Request

SHOWN_BYTES = 64 * 1024
"""The last of it; all of it can be downloaded."""

PATH = "/operation/{id}/hosts/{address}/output"

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Outputs:
    """The page of an output."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """The last 64 kB of what a step has said, with control characters shown."""
        name, address = request.path_params["id"], request.path_params["address"]
        said = (await self._api.call(request, "GET", PATH, dict(request.path_params))).body
        found = await self._api.get(request, "/operation/{id}", id=name)
        host = next(each for each in found["hosts"] if each["address"] == address)
        path = f"/operation/{name}/hosts/{quote(address, safe='')}/output"
        told = f"commctl op output {name} {shlex.quote(address)} -f"
        return self._pages.show(
            request,
            "output.html",
            op=found,
            host=host,
            evidence=evidence(host),
            text=bytes(said[-SHOWN_BYTES:]).decode(errors="replace"),
            size=len(said),
            is_cut=len(said) > SHOWN_BYTES,
            output_source="" if found["finished_at"] else f"/api/v0{path}?offset={len(said)}",
            download=f"/api/v0{path}?raw",
            commands=commands(request, told, path),
        )
