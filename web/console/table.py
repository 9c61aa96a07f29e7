"""The table of pages and forms. Whoever may log in sees pages; roles are the API's affair."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from projections.rebuilding.on_demand import Verifying
from web.console.about import About
from web.console.accounts.access import Access
from web.console.accounts.accounts import Accounts
from web.console.accounts.webhooks import Webhooks
from web.console.fleet.clusters import Clusters
from web.console.fleet.host import Host
from web.console.fleet.hosts import Hosts
from web.console.fleet.maps import Maps
from web.console.fleet.now import Now
from web.console.frame.api import Api
from web.console.frame.live import Live
from web.console.frame.page_route import FormHandler, FormRoute, PageHandler, PageRoute
from web.console.frame.pages import Pages
from web.console.frame.static_files import PATH, HashedFiles
from web.console.frame.waiting import Waiting
from web.console.operations.operations import Operations
from web.console.operations.outputs import Outputs
from web.console.operations.planned import Planned
from web.console.operations.starting import Starting
from web.console.past.diff import Diff
from web.console.past.history import History
from web.console.past.slider import Past
from web.events.histories import Histories
from web.events.timeline import Timeline
from web.http.requests import ROUTE_KEY
from web.resources.fleet_overview import FleetOverview
from web.routing.route import Route


class StaticMount(Mount):
    """Where styles and scripts are; strangers need them for the log-in."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file."""
        scope[ROUTE_KEY] = PATH
        await super().handle(scope, receive, send)


class Section(NamedTuple):
    """Pages and forms that belong together, by path."""

    shown: list[tuple[str, PageHandler]]
    done: list[tuple[str, FormHandler]]


def console_routes(
    routes: Sequence[Route],
    histories: Histories,
    timeline: Timeline,
    overview: FleetOverview,
    live: Live,
    verifying: Verifying,
) -> list[BaseRoute]:
    """All pages, over these routes of the API."""
    static = HashedFiles()
    (readyz,) = (route.handler for route in routes if route.path == "/readyz")
    api, pages = Api(routes), Pages(static)
    accounts, past, maps = Accounts(api, pages), Past(api, timeline), Maps(api, overview)
    waiting = Waiting(api, histories)
    sections = (
        _fleet(
            Now(api, pages, histories, live, past, maps, waiting),
            Hosts(api, pages, live, past),
            Host(api, pages, histories, live, past, waiting),
            Clusters(api, pages, histories, live, past, waiting),
        ),
        _operations(api, pages, live, past, waiting),
        Section([("/map/hosts", maps.hosts), ("/map/operation/{id}", maps.operation)], []),
        _history(History(api, pages, histories, live, past), past, Diff(pages, past, timeline)),
        _access(accounts, Access(api, pages), About(readyz, pages, verifying)),
        _webhooks(Webhooks(api, pages)),
    )
    return [
        *(PageRoute(path, shows, pages.problem) for one in sections for path, shows in one.shown),
        *(FormRoute(path, does, pages.problem) for one in sections for path, does in one.done),
        PageRoute("/login", accounts.show_login, pages.problem, is_open=True),
        FormRoute("/login", accounts.log_in, pages.problem, is_open=True),
        StaticMount(PATH, static),
    ]


def _fleet(now: Now, hosts: Hosts, host: Host, clusters: Clusters) -> Section:
    return Section(
        [
            ("/", now.show),
            ("/live/now", now.follow),
            ("/hosts", hosts.show),
            ("/host/{address}", host.show),
            ("/live/host/{address}", host.follow),
            ("/live/hosts", hosts.follow),
            ("/clusters", clusters.show_all),
            ("/live/clusters", clusters.follow_all),
            ("/live/cluster/{name}", clusters.follow),
            ("/cluster/{name}", clusters.show),
        ],
        [
            ("/hosts/check", hosts.check),
            ("/hosts/label", hosts.label),
            ("/hosts/plan", hosts.plan),
            ("/host/{address}/check", host.check),
            ("/host/{address}/label", host.label),
            ("/host/{address}/hostkey", host.approve_key),
        ],
    )


def _operations(api: Api, pages: Pages, live: Live, past: Past, waiting: Waiting) -> Section:
    operations, starting = Operations(api, pages, live, waiting), Starting(api, pages)
    outputs = Outputs(api, pages)
    return Section(
        [
            ("/operations", operations.show_all),
            ("/live/operations", operations.follow_all),
            ("/operations/new", starting.show),
            ("/planned", Planned(api, pages, past, waiting).show),
            ("/operation/{id}", operations.show),
            ("/live/operation/{id}", operations.follow),
            ("/operation/{id}/hosts/{address}/output", outputs.show),
            ("/operation/{id}/hosts/{address}/evidence.json", outputs.prove),
        ],
        [
            ("/operations/new", starting.change),
            ("/operations/plan", starting.plan),
            ("/operations/begin", starting.begin),
            ("/operation/{id}/state", operations.steer),
            ("/operation/{id}/approval", operations.approve),
            ("/operation/{id}/retry", operations.retry),
        ],
    )


def _history(history: History, past: Past, diff: Diff) -> Section:
    return Section(
        [
            ("/history", history.show),
            ("/live/history", history.follow),
            ("/history.csv", history.export_csv),
            ("/history.json", history.export_json),
            ("/history/{position}", history.show_event),
            ("/past", past.go),
            ("/diff", diff.show),
        ],
        [],
    )


def _access(accounts: Accounts, access: Access, about: About) -> Section:
    return Section(
        [
            ("/me", accounts.show),
            ("/users", access.show_users),
            ("/tokens", access.show_tokens),
            ("/about", about.show),
        ],
        [
            ("/users/put", access.put_user),
            ("/users/remove", access.remove_user),
            ("/tokens/make", access.make_token),
            ("/tokens/{token}/revoke", access.revoke_token),
            ("/me/password", access.change_password),
            ("/logout", accounts.log_out),
            ("/about/verify", about.verify),
            ("/me/sessions/{session}/end", accounts.end_session),
        ],
    )


def _webhooks(webhooks: Webhooks) -> Section:
    return Section(
        [("/webhooks", webhooks.show_all), ("/webhooks/{name}", webhooks.show)],
        [
            ("/webhooks/put", webhooks.put),
            ("/webhooks/{name}/test", webhooks.test),
            ("/webhooks/{name}/resume", webhooks.resume),
            ("/webhooks/{name}/rotate", webhooks.rotate),
            ("/webhooks/{name}/remove", webhooks.remove),
        ],
    )
