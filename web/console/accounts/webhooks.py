"""`/webhooks`: where events are sent to, and what came of it; for administrators."""

from typing import Any

from starlette.responses import Response

from domain.refusal import conflict
from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, see_other
from web.http.requests import Request

TERMS = ("url", "types", "subjects", "form", "summaries", "ca_path")

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Webhooks:
    """The pages of webhooks, and their forms."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show_all(self, request: Request) -> Response:
        """All webhooks, and a form for another one."""
        return await self._all(request)

    async def show(self, request: Request) -> Response:
        """One webhook, its latest deliveries, and what can be done with it."""
        return await self._one(request, str(request.path_params["name"]))

    async def put(self, request: Request, form: Form) -> Response:
        """Make a webhook, and show its secret this once."""
        name = one(form, "name")
        if name in {hook["name"] for hook in await self._api.get(request, "/webhooks")}:
            raise conflict(f"There is a webhook {name} already: `commctl webhook set` changes one.")
        body = {
            "url": one(form, "url"),
            "types": one(form, "types").split(),
            "subjects": one(form, "subjects").split(),
            "form": one(form, "form") or "cloudevents",
            "summaries": bool(one(form, "summaries")),
            "ca_path": one(form, "ca_path") or None,
        }
        made = await self._api.change(
            request, "PUT", "/webhook/{name}", body, one(form, "note"), name=name
        )
        if made["secret"] is None:
            return see_other("/webhooks")
        return await self._all(request, made)

    async def resume(self, request: Request, form: Form) -> Response:
        """Have it go on where it was given up."""
        name = str(request.path_params["name"])
        known = await self._api.get(request, "/webhook/{name}", name=name)
        body = {key: known[key] for key in TERMS}
        note = one(form, "note")
        await self._api.change(request, "PUT", "/webhook/{name}", body, note, name=name)
        return see_other(f"/webhooks/{name}")

    async def test(self, request: Request, form: Form) -> Response:
        """Send a message, and show what came of it."""
        name = str(request.path_params["name"])
        tried = await self._api.change(request, "POST", "/webhook/{name}/test", {}, name=name)
        return await self._one(request, name, tried=tried)

    async def rotate(self, request: Request, form: Form) -> Response:
        """Have messages signed with another secret, and show it this once."""
        name, note = str(request.path_params["name"]), one(form, "note")
        made = await self._api.change(
            request, "POST", "/webhook/{name}/secret", {}, note, name=name
        )
        return await self._one(request, name, made=made)

    async def remove(self, request: Request, form: Form) -> Response:
        """Remove it; its name was typed."""
        name, typed = str(request.path_params["name"]), one(form, "name")
        if typed != name:
            return see_other(f"/webhooks/{name}")
        await self._api.change(
            request, "DELETE", "/webhook/{name}", None, one(form, "note"), name=name
        )
        return see_other("/webhooks")

    async def _all(self, request: Request, made: Record | None = None) -> Response:
        return self._pages.show(
            request,
            "webhooks.html",
            webhooks=await self._api.get(request, "/webhooks"),
            made=made,
            commands=commands(request, ("webhook", "list"), "/webhooks"),
        )

    async def _one(
        self,
        request: Request,
        name: str,
        made: Record | None = None,
        tried: Record | None = None,
    ) -> Response:
        return self._pages.show(
            request,
            "webhook.html",
            webhook=await self._api.get(request, "/webhook/{name}", name=name),
            deliveries=await self._api.get(request, "/webhook/{name}/deliveries", name=name),
            made=made,
            tried=tried,
            commands=commands(
                request, ("webhook", "deliveries", name), f"/webhook/{name}/deliveries"
            ),
        )
