"""The Starlette application, put together from what it needs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.middleware import Middleware

from domain.log import recorder
from domain.log.writer import Writer
from projections.past.past_reads import PastReads
from projections.reads import Reads
from projections.rebuilding.on_demand import Verifying
from web.authentication.authentication import Authentication
from web.console.frame.live import Live
from web.console.table import console_routes
from web.events.events import Events
from web.events.histories import Histories
from web.events.live_window import EventWindow
from web.events.output_stream import Followers
from web.events.proofs import Proofs, Sign, nobody_signs
from web.events.timeline import Timeline
from web.exception_handlers import exception_handlers
from web.http.clients import Clients, Network
from web.http.requests import Limits
from web.known_answers import KnownAnswers
from web.middleware import RequestMiddleware
from web.openapi.pages import SelfDescription
from web.request_log import RequestLog
from web.resources.accounts.account_book import AccountBook
from web.resources.accounts.sessions import Sessions
from web.resources.accounts.tokens import Tokens
from web.resources.accounts.users import Users
from web.resources.clusters import Clusters
from web.resources.container_managers import ContainerManagers
from web.resources.credentials import Credentials, Secrets, TryLogin, nobody_can_try
from web.resources.fleet import Fleet
from web.resources.fleet_overview import FleetOverview
from web.resources.health import Observation
from web.resources.host_care import HostCare
from web.resources.hosts import Hosts
from web.resources.networks import Networks
from web.resources.offered_keys import ParseKey
from web.resources.operations import second_looks
from web.resources.operations.operation_starts import OperationStarts
from web.resources.operations.operations import Operations
from web.resources.operations.second_looks import SecondLooks
from web.resources.operations.step_outputs import StepOutputs
from web.resources.planning.gates import Gates
from web.resources.planning.schedules import Schedules
from web.resources.planning.windows import Windows
from web.resources.rollouts.budgets import Budgets
from web.resources.rollouts.fleet_lock import AskGates, FleetLock, nobody_asks
from web.resources.webhooks import TryWebhook, Webhooks, nobody_can_send
from web.routes.accounts import account_routes
from web.routes.events import event_routes
from web.routes.fleet import fleet_routes
from web.routes.operations import operation_routes
from web.routes.planning import planning_routes
from web.routes.rollouts import rollout_routes
from web.routes.table import cluster_routes, host_routes, network_routes, service_routes
from web.routes.webhooks import webhook_routes
from web.routing.not_here import leave_to_others
from web.routing.route import Route, nothing_here, refuse_twins
from web.routing.where import Where

LISTENERS_MAX = 1000


@dataclass(frozen=True)
class Stores:
    """What commands are written to, and what questions are asked of."""

    writer: Writer
    reads: Reads
    log_reads: Reads
    """For what is read from the log alone, which goes on where a read model cannot."""
    past: PastReads
    verifying: Verifying


@dataclass(frozen=True)
class HostKeys:
    """What is done with the private keys of hosts."""

    secrets: Secrets
    parse: ParseKey
    try_login: TryLogin = nobody_can_try


@dataclass(frozen=True)
class Options:
    """What may be different from service to service."""

    clients: Clients = field(default_factory=Clients)
    limits: Limits = field(default_factory=Limits)
    gates: Mapping[str, str] = field(default_factory=dict)
    """The checks that operations may ask: names, and of a Prometheus which of its alerts count."""
    ask_gates: AskGates = nobody_asks
    sources: Collection[str] = ()
    """The names of the inventories that a host may be owned by."""
    window: EventWindow = field(default_factory=EventWindow)
    """What event streams read along; whoever made it has it follow the log."""
    listeners_max: int = LISTENERS_MAX
    oldest_report: Callable[[], str] = str
    """What container managers said before that time is too old to be shown."""
    fleet_lock_from: Sequence[Network] = ()
    """The networks whose clients may take locks; none is nobody."""
    elsewhere: bool = False
    """The API is served by other processes, and this one says so."""
    second_look_s: float = second_looks.LIMIT_S
    """How long whoever begins an operation waits for members that have failed; 0 where nobody
    would look at them."""
    try_webhook: TryWebhook = nobody_can_send
    now: Callable[[], str] = recorder.now
    sign: Sign = nobody_signs
    """Says what the tree of the log is, and signs it."""


def application(
    stores: Stores,
    host_keys: HostKeys,
    authentication: Authentication,
    log: RequestLog,
    options: Options,
    accounts: AccountBook,
    observation: Observation | None = None,
    known: KnownAnswers | None = None,
) -> Starlette:
    """The whole HTTP API, and the console on it; `known` keeps answers, where that is wanted.

    It keeps nothing of its own: the collaborators are the caller's.
    """
    described = SelfDescription()
    routes = described.routes = [
        *service_routes(observation or Observation(authentication), described),
        *_api(stores, host_keys, options, accounts),
    ]
    if options.elsewhere:
        routes = leave_to_others(routes)
    refuse_twins(routes)
    live = Live(options.window, options.listeners_max)
    timeline = Timeline(stores.log_reads, stores.reads, stores.past)
    overview = FleetOverview(stores.reads, stores.past)
    pages = console_routes(
        routes, Histories(stores.log_reads), timeline, overview, live, stores.verifying
    )
    around = Middleware(
        RequestMiddleware,
        log=log,
        clients=options.clients,
        position=lambda: options.window.head,
        known=known,
    )
    app = Starlette(
        routes=routes if options.elsewhere else [*routes, *pages],
        middleware=[around],
        exception_handlers=exception_handlers(log.counts),
    )
    app.router.default = nothing_here
    app.router.redirect_slashes = False  # a slash at the end does not matter
    app.state.authentication = authentication
    app.state.where = Where(stores.reads)
    app.state.limits = options.limits
    app.state.now = options.now
    app.state.aside = ThreadPoolExecutor(1, thread_name_prefix="aside")
    return app


def _api(
    stores: Stores, host_keys: HostKeys, options: Options, accounts: AccountBook
) -> list[Route]:
    """The table of all that is below `/api` and not about the service itself."""
    writer, reads, past, secrets = stores.writer, stores.reads, stores.past, host_keys.secrets
    hosts = Hosts(
        writer, reads, past, secrets, host_keys.parse, options.sources, options.oldest_report
    )

    def is_stopping() -> bool:
        return options.window.is_over

    outputs = StepOutputs(reads, Followers(is_stopping), options.listeners_max)
    looks = SecondLooks(writer, reads, options.second_look_s, is_stopping)
    return [
        *host_routes(hosts, Credentials(writer, secrets, host_keys.parse, host_keys.try_login)),
        *fleet_routes(Fleet(reads, past, options.sources), HostCare(writer, reads)),
        *cluster_routes(Clusters(writer, reads, past)),
        *operation_routes(
            Operations(writer, reads), OperationStarts(writer, looks, options.gates), outputs
        ),
        *planning_routes(
            Windows(writer, reads, past, options.now),
            Schedules(writer, reads, past, options.now, options.gates),
            Gates(options.gates),
        ),
        *rollout_routes(
            Budgets(writer, reads, past, options.gates),
            FleetLock(writer, options.fleet_lock_from, options.ask_gates),
        ),
        *event_routes(
            Events(stores.log_reads, options.window, options.listeners_max),
            Histories(stores.log_reads),
            Proofs(stores.log_reads, options.sign),
        ),
        *account_routes(Users(accounts), Tokens(accounts), Sessions(accounts)),
        *network_routes(Networks(writer, reads), ContainerManagers(writer, reads, secrets)),
        *webhook_routes(Webhooks(writer, reads, secrets, options.try_webhook)),
    ]
