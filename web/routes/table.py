"""The table of routes: what a verb does with a path, and the least role that it takes. The routes
of operations and of events have files of their own beside it.

Each row ends with what the route takes and answers (`web/routing/description.py`), from which
`/openapi.json` is made. The kinds of refusals are those of its own: what every route may answer,
such as 403, goes without saying.
"""

from web.openapi.pages import SelfDescription
from web.resources.at_time import QUERY as AT
from web.resources.clusters import Clusters
from web.resources.container_managers import ContainerManagers
from web.resources.credentials import Credentials
from web.resources.health import DESCRIBED, Observation, healthz
from web.resources.hosts import QUERY, Hosts
from web.resources.networks import Networks
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

V0 = "/api/v0"
# Kinds of refusals (`web/http/problems.py`).
GONE = "not_found"
CLASH = "conflict"
# Reading credentials is an event, which has to be stored.
STORED = (GONE, "storage_full")

LISTS_HOSTS = reads(list[ListedHost], GONE, query=QUERY)
NAMES = reads(Names, query=AT)
SHOWS_CLUSTER = reads(ClusterRecord, GONE, query=AT)
LISTS_MEMBERS = reads(Members, GONE, query=AT)
SHOWS_MEMBER = reads(OneMember, GONE, query=AT)
REGISTERS = makes(HostRecord, HostBody)
REGISTERS_ITSELF = makes(HostRecord, OwnHostBody)
APPROVES = makes(HostKeyRecord, HostKeyBody, GONE)
ROTATES = makes(LoginRecord, CredentialsBody, GONE)
REPLACES = changes(Members, GONE, CLASH, body=MembersBody)
JOINS = changes(OneMember, GONE, CLASH, body=NoBody)
MAKES_MANAGER = makes(ManagerRecord, ContainerManagerBody)
HOST = f"{V0}/host/{{address}}"
HOST_KEY = f"{HOST}/hostkey"
CLUSTER = f"{V0}/cluster/{{name}}"
MEMBERS = f"{CLUSTER}/hosts"
MEMBER = f"{MEMBERS}/{{address}}"
NETWORK = f"{V0}/network/{{name}}"
MANAGER = f"{V0}/containermanager/{{name}}"


def service_routes(observation: Observation, described: SelfDescription) -> list[Route]:
    """What the service says of itself."""
    return [
        Route("GET", "/healthz", "anyone", healthz, tells(Text, media_type=PLAIN_TEXT)),
        Route("GET", "/readyz", "anyone", observation.readyz, DESCRIBED["readyz"]),
        Route("GET", "/metrics", "anyone", observation.metrics, DESCRIBED["metrics"]),
        *described.pages(),
        Route("GET", "/openapi.json", "viewer", described.document, reads(OpenAPI)),
        Route("GET", f"{V0}/openapi.json", "viewer", described.document, reads(OpenAPI)),
    ]


def host_routes(hosts: Hosts, credentials: Credentials) -> list[Route]:
    """Hosts, how they are logged in to, and the keys that they prove themselves with."""
    return [
        Route("GET", f"{V0}/hosts", "viewer", hosts.index, LISTS_HOSTS, of_state=True),
        Route("PUT", f"{V0}/host", "operator", hosts.register_itself, REGISTERS_ITSELF, "body"),
        Route("GET", HOST, "viewer", hosts.show, reads(HostRecord, GONE, query=AT), of_state=True),
        Route("PUT", HOST, "operator", hosts.register, REGISTERS, "body"),
        Route("DELETE", HOST, "operator", hosts.remove, removes(GONE, CLASH), "host"),
        Route("GET", f"{HOST}/status", "viewer", hosts.show_status, reads(HostStatusRecord, GONE)),
        Route("GET", f"{HOST}/creds", "admin", credentials.show, tells(CredentialsRecord, *STORED)),
        Route("PUT", f"{HOST}/creds", "admin", credentials.rotate, ROTATES, "host"),
        Route(
            "GET", HOST_KEY, "admin", credentials.show_host_key, reads(HostKeyRecord, GONE), "host"
        ),
        Route("PUT", HOST_KEY, "admin", credentials.approve_host_key, APPROVES, "host"),
        Route("DELETE", HOST_KEY, "admin", credentials.forget_host_key, removes(GONE), "host"),
    ]


def cluster_routes(clusters: Clusters) -> list[Route]:
    """Clusters and their members."""
    return [
        Route("GET", f"{V0}/clusters", "viewer", clusters.index, NAMES, of_state=True),
        Route("GET", f"{V0}/cluster", "viewer", clusters.index, NAMES, of_state=True),
        Route("GET", CLUSTER, "viewer", clusters.show, SHOWS_CLUSTER, of_state=True),
        Route(
            "PUT",
            CLUSTER,
            "operator",
            clusters.create,
            makes(ClusterRecord, ClusterBody),
            "cluster",
        ),
        Route("DELETE", CLUSTER, "operator", clusters.remove, removes(GONE, CLASH), "cluster"),
        Route("GET", MEMBERS, "viewer", clusters.members, LISTS_MEMBERS, of_state=True),
        Route("PUT", MEMBERS, "operator", clusters.replace_members, REPLACES, "cluster"),
        Route("GET", MEMBER, "viewer", clusters.show_member, SHOWS_MEMBER, of_state=True),
        Route("PUT", MEMBER, "operator", clusters.add_member, JOINS, "cluster"),
        Route(
            "DELETE", MEMBER, "operator", clusters.remove_member, removes(GONE, CLASH), "cluster"
        ),
    ]


def network_routes(networks: Networks, managers: ContainerManagers) -> list[Route]:
    """What clusters use: networks and container managers."""
    return [
        Route("GET", f"{V0}/networks", "viewer", networks.index, reads(Names)),
        Route("GET", NETWORK, "viewer", networks.show, reads(NetworkRecord, GONE)),
        Route("PUT", NETWORK, "operator", networks.create, makes(NetworkRecord, NetworkBody)),
        Route("DELETE", NETWORK, "operator", networks.remove, removes(GONE, CLASH)),
        Route("GET", f"{V0}/containermanagers", "viewer", managers.index, reads(Names)),
        Route("GET", MANAGER, "viewer", managers.show, reads(ManagerRecord, GONE)),
        Route("PUT", MANAGER, "admin", managers.create, MAKES_MANAGER),
        Route("DELETE", MANAGER, "admin", managers.remove, removes(GONE, CLASH)),
    ]
