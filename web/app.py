"""The ASGI application, put together from what it needs."""

from collections.abc import Callable, Collection

from domain.log import recorder
from domain.log.writer import Writer
from projections.past_reads import PastReads
from projections.reads import Reads
from web.authentication import Authentication
from web.clients import Clients
from web.clusters import Clusters
from web.container_managers import ContainerManagers
from web.credentials import Credentials, Secrets, TryLogin, nobody_can_try
from web.elsewhere import leave_to_others
from web.events import Events
from web.front import Front, Log
from web.health import Observation
from web.histories import Histories
from web.hosts import Hosts
from web.keys import ParseKey
from web.live import Live
from web.networks import Networks
from web.operations import Operations
from web.requests import Limits
from web.routes import table
from web.routing import Routes
from web.tallies import Tallies

LISTENERS_MAX = 1000


def application(
    writer: Writer,
    reads: Reads,
    log_reads: Reads,
    past: PastReads,
    secrets: Secrets,
    parse_key: ParseKey,
    authentication: Authentication,
    log: Log,
    *,
    try_login: TryLogin = nobody_can_try,
    log_requests: bool = True,
    clients: Clients | None = None,
    sources: Collection[str] = (),
    limits: Limits | None = None,
    observation: Observation | None = None,
    live: Live | None = None,
    listeners_max: int = LISTENERS_MAX,
    tallies: Tallies | None = None,
    oldest_report: Callable[[], str] = str,
    elsewhere: bool = False,
    now: Callable[[], str] = recorder.now,
) -> Front:
    """The whole HTTP API. It keeps nothing of its own: the collaborators are the caller's.

    `log_reads`: for what is read from the log alone, which goes on where a read model cannot.
    `sources`: the names of the inventories that a host may be owned by. `tallies`: where requests
    are counted. `live`: what event streams read along; whoever made it has it follow the log.
    `oldest_report()`: what container managers said before is too old to be shown.
    `elsewhere`: the API is served by other processes, and this one says so.
    """
    routes = table(
        Hosts(writer, reads, past, secrets, parse_key, sources, oldest_report),
        Credentials(writer, secrets, parse_key, try_login),
        Clusters(writer, reads, past),
        Networks(writer, reads),
        ContainerManagers(writer, reads, secrets),
        Operations(writer, reads),
        Events(log_reads, live or Live(), listeners_max),
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
        tallies=tallies or Tallies(),
        now=now,
    )
