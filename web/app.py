"""The ASGI application, put together from what it needs."""

from collections.abc import Callable, Collection

from domain.log import recorder
from domain.log.writer import Writer
from projections.past.past_reads import PastReads
from projections.reads import Reads
from web.authentication.authentication import Authentication
from web.events.events import Events
from web.events.histories import Histories
from web.events.live_window import EventWindow
from web.front import Front, ServiceLogWrite
from web.http.clients import Clients
from web.http.request_counts import RequestCounts
from web.http.requests import Limits
from web.resources.clusters import Clusters
from web.resources.container_managers import ContainerManagers
from web.resources.credentials import Credentials, Secrets, TryLogin, nobody_can_try
from web.resources.health import Observation
from web.resources.hosts import Hosts
from web.resources.networks import Networks
from web.resources.offered_keys import ParseKey
from web.resources.operations import Operations
from web.routes.table import table
from web.routing.not_here import leave_to_others
from web.routing.route_tree import Routes

LISTENERS_MAX = 1000


def application(
    writer: Writer,
    reads: Reads,
    log_reads: Reads,
    past: PastReads,
    secrets: Secrets,
    parse_key: ParseKey,
    authentication: Authentication,
    log: ServiceLogWrite,
    *,
    try_login: TryLogin = nobody_can_try,
    log_requests: bool = True,
    clients: Clients | None = None,
    sources: Collection[str] = (),
    limits: Limits | None = None,
    observation: Observation | None = None,
    window: EventWindow | None = None,
    listeners_max: int = LISTENERS_MAX,
    request_counts: RequestCounts | None = None,
    oldest_report: Callable[[], str] = str,
    elsewhere: bool = False,
    now: Callable[[], str] = recorder.now,
) -> Front:
    """The whole HTTP API. It keeps nothing of its own: the collaborators are the caller's.

    `log_reads`: for what is read from the log alone, which goes on where a read model cannot.
    `sources`: the names of the inventories that a host may be owned by. `request_counts`: where
    requests are counted. `window`: what event streams read along; whoever made it has it follow the
    log. `oldest_report()`: what container managers said before is too old to be shown. `elsewhere`:
    the API is served by other processes, and this one says so.
    """
    routes = table(
        Hosts(writer, reads, past, secrets, parse_key, sources, oldest_report),
        Credentials(writer, secrets, parse_key, try_login),
        Clusters(writer, reads, past),
        Networks(writer, reads),
        ContainerManagers(writer, reads, secrets),
        Operations(writer, reads),
        Events(log_reads, window or EventWindow(), listeners_max),
        Histories(log_reads),
        observation or Observation(authentication),
    )
    if elsewhere:
        routes = leave_to_others(routes)
    return Front(
        Routes(routes),
        authentication,
        log=log,
        log_requests=log_requests,
        limits=limits or Limits(),
        clients=clients or Clients(),
        request_counts=request_counts or RequestCounts(),
        now=now,
    )
