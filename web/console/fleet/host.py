"""`/host/ADDRESS`: one host, why it is as it is, and what may be done for it."""

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from domain.log.reading.search import Filter
from domain.refusal import Refusal
from projections.fleet.cures import CURES
from web.console.fleet.hosts import relabelled
from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.live import Fragment, Live
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, past, see_other
from web.console.frame.waiting import Waiting
from web.console.past.slider import Past
from web.events.histories import Histories
from web.http.requests import Request

HISTORY_MAX = 50
OPERATIONS_MAX = 10
FOUND_MAX = 1_000
FIND_CHARACTERS_MAX = 100

THERE = "<!-- The host is there. -->"
"""What a live page of a host is sent beside the state: it asks anew for what it shows."""

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Host:
    """The page of a host, and its forms."""

    def __init__(
        self,
        api: Api,
        pages: Pages,
        histories: Histories,
        live: Live,
        past: Past,
        waiting: Waiting,
    ) -> None:
        self._api = api
        self._pages = pages
        self._histories = histories
        self._live = live
        self._past = past
        self._waiting = waiting

    async def show(self, request: Request) -> Response:
        """Reason and cure, facts, host key, labels, operations, history."""
        at, shown = past(request), await self._past.shown(request)
        host = await self._host(request, at)
        address, cluster = host["address"], host["cluster"] or ""
        until = shown.get("at", "")
        history = await self._histories.newest_of(f"host/{address}", HISTORY_MAX, until)
        return self._pages.show(
            request,
            "host.html",
            view="" if at else f"/live{_page(address)}?state={_newest(history)}",
            host=host,
            cure=CURES.get(host["kind"], ""),
            key=None if at else await self._host_key(request, address, cluster),
            may_act=request.identity.may_act_in(cluster, "operator") and not at,
            login_key=await self._histories.login_key(address, until),
            operations=await self._operations(request, host) if cluster and not at else [],
            history=history,
            **_commands(request, address) | shown,
        )

    async def follow(self, request: Request) -> Response:
        """Its newest event, whenever that is another: each page asks anew for what it shows."""
        host = await self._host(request, {})
        subject = f"host/{host['address']}"

        async def rendered(request: Request) -> Fragment:
            await self._api.get(request, "/host/{address}", address=host["address"])
            return Fragment(THERE, str(await self._histories.head_of(subject)))

        return self._live.stream(request, Filter((subject,)), rendered)

    async def check(self, request: Request, form: Form) -> Response:
        """Have it looked at now."""
        address = _address(request)
        await self._api.change(
            request, "POST", "/host/{address}/check", {}, one(form, "note"), address=address
        )
        return see_other(_page(address))

    async def label(self, request: Request, form: Form) -> Response:
        """Give it a label, or take one."""
        address = _address(request)
        labels = await self._api.get(request, "/host/{address}/labels", address=address)
        wanted = relabelled(labels, one(form, "label"))
        await self._api.change(
            request, "PUT", "/host/{address}/labels", wanted, one(form, "note"), address=address
        )
        return see_other(_page(address))

    async def approve_key(self, request: Request, form: Form) -> Response:
        """Trust the host key with this fingerprint."""
        address = _address(request)
        body = {"fingerprint": one(form, "fingerprint")}
        await self._api.change(
            request, "PUT", "/host/{address}/hostkey", body, one(form, "note"), address=address
        )
        return see_other(_page(address))

    async def _host(self, request: Request, at: Record) -> Record:
        """All that is known of it. Refuses one that is not there."""
        host = await self._api.get(request, "/host/{address}", at, address=_address(request))
        address = host["address"]
        query = {"q": address[:FIND_CHARACTERS_MAX], "limit": str(FOUND_MAX)} | at
        found = await self._api.get(request, "/fleet/hosts", query)
        wide: Record = next(each for each in found if each["address"] == address)
        return wide

    async def _host_key(self, request: Request, address: str, cluster: str) -> Record | None:
        """None for whoever may not see it."""
        if not request.identity.may_act_in(cluster, "admin"):
            return None
        key: Record = {"fingerprint": None, "refused": None}
        with suppress(Refusal):  # it has shown none so far
            key = await self._api.get(request, "/host/{address}/hostkey", address=address)
        return key

    async def _operations(self, request: Request, host: Record) -> list[Record]:
        """The operations of its cluster, each with what became of the host in it."""
        query = {"cluster": host["cluster"], "limit": str(OPERATIONS_MAX)}
        found = await self._api.get(request, "/operations", query)
        parts = await self._histories.outcomes(host["address"], [each["id"] for each in found])
        lines = await self._waiting.lines(request, found)
        return [each | {"part": parts.get(each["id"], "")} for each in lines]


def _commands(request: Request, address: str) -> Record:
    path = _page(address)
    return {
        "commands": commands(request, ("host", "show", address), path),
        "check": commands(request, ("host", "check", address), f"{path}/check", "POST", {}),
    }


def _newest(history: list[Record]) -> str:
    return str(history[0]["id"]) if history else ""


def _address(request: Request) -> str:
    return str(request.path_params["address"])


def _page(address: str) -> str:
    return f"/host/{quote(address, safe='')}"
