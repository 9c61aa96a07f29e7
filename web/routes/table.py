"""The table of all routes: what a verb does with a path, and the least role that it takes.

Each row ends with what the route takes and answers (`web/routing/description.py`), from which
`/openapi.json` is made. The kinds of refusals are those of its own: what every route may answer,
such as 403, goes without saying.
"""

from web.events.events import Events
from web.events.histories import Histories
from web.openapi.pages import SelfDescription
from web.resources.at_time import QUERY as AT
from web.resources.clusters import Clusters
from web.resources.container_managers import ContainerManagers
from web.resources.credentials import Credentials
from web.resources.health import DESCRIBED, Observation, healthz
from web.resources.hosts import QUERY, Hosts
from web.resources.networks import Networks
from web.resources.operations import Operations
from web.routes.events import event_routes
from web.routes.operations import operation_routes
from web.routing.description import PLAIN_TEXT, changes, makes, reads, removes, tells
from web.routing.route import Route
from web.schemas.bodies import (
    ClusterBody,
    ContainerManagerBody,
    CredentialsBody,
    HostBody,
    HostKeyBody,
    MembersBody,
    NetworkBody,
    NoBody,
    OwnHostBody,
)
from web.schemas.records import (
    ClusterRecord,
    CredentialsRecord,
    HostKeyRecord,
    HostRecord,
    HostStatusRecord,
    ListedHost,
    LoginRecord,
    ManagerRecord,
    Members,
    Names,
    NetworkRecord,
    OneMember,
    OpenAPI,
    Text,
)

# Kinds of refusals (`web/http/problems.py`).
GONE = "not_found"
CLASH = "conflict"
# Reading credentials is an event, which has to be stored.
STORED = (GONE, "storage_full")

LISTS_HOSTS = reads(list[ListedHost], GONE, query=QUERY)
REGISTERS = makes(HostRecord, HostBody)
REGISTERS_ITSELF = makes(HostRecord, OwnHostBody)
APPROVES = makes(HostKeyRecord, HostKeyBody, GONE)
ROTATES = makes(LoginRecord, CredentialsBody, GONE)
REPLACES = changes(Members, GONE, CLASH, body=MembersBody)
JOINS = changes(OneMember, GONE, CLASH, body=NoBody)
MAKES_MANAGER = makes(ManagerRecord, ContainerManagerBody)


def table(
    hosts: Hosts,
    credentials: Credentials,
    clusters: Clusters,
    networks: Networks,
    container_managers: ContainerManagers,
    operations: Operations,
    events: Events,
    histories: Histories,
    observation: Observation,
) -> list[Route]:
    """Every route that the service has."""
    v0 = "/api/v0"
    members = f"{v0}/cluster/{{name}}/hosts"
    member = f"{members}/{{address}}"
    host = f"{v0}/host/{{address}}"
    host_key = f"{host}/hostkey"
    cluster = f"{v0}/cluster/{{name}}"
    network = f"{v0}/network/{{name}}"
    manager = f"{v0}/containermanager/{{name}}"
    described = SelfDescription()
    rows = [
        Route("GET", "/healthz", "anyone", healthz, tells(Text, media_type=PLAIN_TEXT)),
        Route("GET", "/readyz", "anyone", observation.readyz, DESCRIBED["readyz"]),
        Route("GET", "/metrics", "anyone", observation.metrics, DESCRIBED["metrics"]),
        *described.pages(),
        Route("GET", "/openapi.json", "viewer", described.document, reads(OpenAPI)),
        Route("GET", f"{v0}/openapi.json", "viewer", described.document, reads(OpenAPI)),
        Route("GET", f"{v0}/hosts", "viewer", hosts.index, LISTS_HOSTS),
        Route("PUT", f"{v0}/host", "operator", hosts.register_itself, REGISTERS_ITSELF),
        Route("GET", host, "viewer", hosts.show, reads(HostRecord, GONE, query=AT)),
        Route("PUT", host, "operator", hosts.register, REGISTERS),
        Route("DELETE", host, "operator", hosts.remove, removes(GONE, CLASH)),
        Route("GET", f"{host}/status", "viewer", hosts.show_status, reads(HostStatusRecord, GONE)),
        Route("GET", f"{host}/creds", "admin", credentials.show, tells(CredentialsRecord, *STORED)),
        Route("PUT", f"{host}/creds", "admin", credentials.rotate, ROTATES),
        Route("GET", host_key, "admin", credentials.show_host_key, reads(HostKeyRecord, GONE)),
        Route("PUT", host_key, "admin", credentials.approve_host_key, APPROVES),
        Route("DELETE", host_key, "admin", credentials.forget_host_key, removes(GONE)),
        Route("GET", f"{v0}/clusters", "viewer", clusters.index, reads(Names, query=AT)),
        Route("GET", f"{v0}/cluster", "viewer", clusters.index, reads(Names, query=AT)),
        Route("GET", cluster, "viewer", clusters.show, reads(ClusterRecord, GONE, query=AT)),
        Route("PUT", cluster, "operator", clusters.create, makes(ClusterRecord, ClusterBody)),
        Route("DELETE", cluster, "operator", clusters.remove, removes(GONE, CLASH)),
        Route("GET", members, "viewer", clusters.members, reads(Members, GONE, query=AT)),
        Route("PUT", members, "operator", clusters.replace_members, REPLACES),
        Route("GET", member, "viewer", clusters.show_member, reads(OneMember, GONE, query=AT)),
        Route("PUT", member, "operator", clusters.add_member, JOINS),
        Route("DELETE", member, "operator", clusters.remove_member, removes(GONE, CLASH)),
        *operation_routes(operations),
        *event_routes(events, histories),
        Route("GET", f"{v0}/networks", "viewer", networks.index, reads(Names)),
        Route("GET", network, "viewer", networks.show, reads(NetworkRecord, GONE)),
        Route("PUT", network, "operator", networks.create, makes(NetworkRecord, NetworkBody)),
        Route("DELETE", network, "operator", networks.remove, removes(GONE, CLASH)),
        Route("GET", f"{v0}/containermanagers", "viewer", container_managers.index, reads(Names)),
        Route("GET", manager, "viewer", container_managers.show, reads(ManagerRecord, GONE)),
        Route("PUT", manager, "admin", container_managers.create, MAKES_MANAGER),
        Route("DELETE", manager, "admin", container_managers.remove, removes(GONE, CLASH)),
    ]
    described.routes = rows
    return rows
