"""Maps: each host of a fleet or an operation as a cell, in so few bytes that 20,000 are a page."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response

from projections.fleet.overview import Matrix
from web.console.frame.api import Api
from web.console.frame.pages import past
from web.http.query_string import moment
from web.http.replies import Reply
from web.http.requests import Request
from web.resources.fleet_overview import FleetOverview

CELLS_MAX = 20_000
MAP_FROM = 200
"""Fewer hosts are seen in a list, or in a strip."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

Cells = Sequence[tuple[str, str]]
"""Addresses, each with a state."""


class Maps:
    """What canvases are drawn from."""

    def __init__(self, api: Api, overview: FleetOverview) -> None:
        self._api = api
        self._overview = overview

    async def hosts(self, request: Request) -> Response:
        """The hosts that the query asks for, now or at a time, cluster by cluster."""
        at = past(request)
        when = moment(at["at"], "at") if at else None
        query = request.scope["query_string"]
        return Reply(await self._overview.statuses(request, query, when, CELLS_MAX, drawn))

    async def operation(self, request: Request) -> Response:
        """The hosts of an operation in order of turn."""
        name = str(request.path_params["id"])
        # Who may see it is the API's affair.
        found = await self._api.get(request, "/operation/{id}", {"hosts": "false"}, id=name)
        return Reply(await self._overview.outcomes(found["id"], CELLS_MAX, drawn))

    async def matrix(self, request: Request) -> Matrix:
        """How many hosts of each cluster have which status."""
        at = past(request)
        return await self._overview.matrix(request, moment(at["at"], "at") if at else None)


def drawn(cells: Cells) -> bytes:
    """What a canvas is drawn from, as JSON."""
    return orjson.dumps(encoded(cells))


# Any: JSON.
def encoded(cells: Cells) -> dict[str, Any]:
    """States as digits, and of each address what is not as in the one before it, after how many
    characters are (a digit of base 36)."""
    states = list(dict.fromkeys(state for _, state in cells))
    digits = {state: DIGITS[number] for number, state in enumerate(states)}
    addresses, before = [], ""
    for address, _ in cells:
        same = min(_same(before, address), len(DIGITS) - 1)
        addresses.append(f"{DIGITS[same]}{address[same:]}")
        before = address
    return {
        "states": states,
        "cells": "".join(digits[state] for _, state in cells),
        "addresses": ",".join(addresses),
    }


def _same(one: str, other: str) -> int:
    """How many characters two texts have in common from their beginning on."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return number
    return min(len(one), len(other))
