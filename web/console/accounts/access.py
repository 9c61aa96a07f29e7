"""`/users` and `/tokens`: who may log in, and what programs log in with."""

from starlette.responses import Response

from domain.roles import ROLES
from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, see_other
from web.http.requests import Request

ENDS = ("12h", "30d", "90d", "365d")


class Access:
    """The pages of users and tokens, and their forms."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show_users(self, request: Request) -> Response:
        """All users, for administrators."""
        return self._pages.show(
            request,
            "users.html",
            users=await self._api.get(request, "/users"),
            roles=list(ROLES),
            commands=commands(request, ("user", "list"), "/users"),
        )

    async def put_user(self, request: Request, form: Form) -> Response:
        """Add a user, or change one; what is left empty stays."""
        name, password = one(form, "name"), form.get("password", [""])[0]
        body = {"role": one(form, "role")} | ({"password": password} if password else {})
        await self._api.change(request, "PUT", "/user/{user}", body, one(form, "note"), user=name)
        return see_other("/users")

    async def remove_user(self, request: Request, form: Form) -> Response:
        """Remove a user, whose name was typed."""
        name = one(form, "name")
        await self._api.change(
            request, "DELETE", "/user/{user}", None, one(form, "note"), user=name
        )
        return see_other("/users")

    async def change_password(self, request: Request, form: Form) -> Response:
        """Change one's own password."""
        body = {name: form.get(name, [""])[0] for name in ("old", "new")}
        name = request.identity.user
        await self._api.change(request, "PUT", "/user/{user}/password", body, user=name)
        return see_other("/me")

    async def show_tokens(self, request: Request) -> Response:
        """One's own tokens; for administrators all."""
        return await self._tokens(request, None)

    async def make_token(self, request: Request, form: Form) -> Response:
        """Make a token, and show it this once."""
        name = one(form, "name")
        body = {"role": one(form, "role"), "expires": one(form, "expires")}
        made = await self._api.change(
            request, "PUT", "/token/{token}", body, one(form, "note"), token=name
        )
        return await self._tokens(request, made)

    async def revoke_token(self, request: Request, form: Form) -> Response:
        """Make a token worthless."""
        await self._api.change(
            request, "DELETE", "/token/{token}", token=str(request.path_params["token"])
        )
        return see_other("/tokens")

    async def _tokens(self, request: Request, made: dict[str, str] | None) -> Response:
        who = request.identity
        return self._pages.show(
            request,
            "tokens.html",
            tokens=await self._api.get(request, "/tokens"),
            made=made,
            roles=[role for role in ROLES if who.may_act_as(role)],
            ends=ENDS,
            commands=commands(request, ("token", "list"), "/tokens"),
        )
