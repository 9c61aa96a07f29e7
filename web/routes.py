"""The table of all routes: what a verb does with a path, and the least role that it takes."""

from web.clusters import Clusters
from web.container_managers import ContainerManagers
from web.credentials import Credentials
from web.health import healthz
from web.hosts import Hosts
from web.networks import Networks
from web.routing import Route


def table(
    hosts: Hosts,
    credentials: Credentials,
    clusters: Clusters,
    networks: Networks,
    container_managers: ContainerManagers,
) -> list[Route]:
    """Every route that the service has."""
    v0 = "/api/v0"
    members = f"{v0}/cluster/{{name}}/hosts"
    host = f"{v0}/host/{{address}}"
    network = f"{v0}/network/{{name}}"
    container_manager = f"{v0}/containermanager/{{name}}"
    return [
        Route("GET", "/healthz", "anyone", healthz),
        Route("GET", f"{v0}/hosts", "viewer", hosts.index),
        Route("PUT", f"{v0}/host", "operator", hosts.register_itself),
        Route("GET", host, "viewer", hosts.show),
        Route("PUT", host, "operator", hosts.register),
        Route("DELETE", host, "operator", hosts.remove),
        Route("GET", f"{host}/status", "viewer", hosts.show_status),
        Route("GET", f"{host}/creds", "admin", credentials.show),
        Route("PUT", f"{host}/creds", "admin", credentials.rotate),
        Route("GET", f"{host}/hostkey", "admin", credentials.show_host_key),
        Route("PUT", f"{host}/hostkey", "admin", credentials.approve_host_key),
        Route("DELETE", f"{host}/hostkey", "admin", credentials.forget_host_key),
        Route("GET", f"{v0}/clusters", "viewer", clusters.index),
        Route("GET", f"{v0}/cluster", "viewer", clusters.index),
        Route("GET", f"{v0}/cluster/{{name}}", "viewer", clusters.show),
        Route("PUT", f"{v0}/cluster/{{name}}", "operator", clusters.create),
        Route("DELETE", f"{v0}/cluster/{{name}}", "operator", clusters.remove),
        Route("GET", members, "viewer", clusters.members),
        Route("PUT", members, "operator", clusters.replace_members),
        Route("GET", f"{members}/{{address}}", "viewer", clusters.show_member),
        Route("PUT", f"{members}/{{address}}", "operator", clusters.add_member),
        Route("DELETE", f"{members}/{{address}}", "operator", clusters.remove_member),
        Route("GET", f"{v0}/networks", "viewer", networks.index),
        Route("GET", network, "viewer", networks.show),
        Route("PUT", network, "operator", networks.create),
        Route("DELETE", network, "operator", networks.remove),
        Route("GET", f"{v0}/containermanagers", "viewer", container_managers.index),
        Route("GET", container_manager, "viewer", container_managers.show),
        Route("PUT", container_manager, "admin", container_managers.create),
        Route("DELETE", container_manager, "admin", container_managers.remove),
    ]
