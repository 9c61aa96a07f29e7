"""Every read model of the service."""

from projections import clusters, container_managers, hosts, networks

PROJECTIONS = (
    hosts.PROJECTION,
    clusters.PROJECTION,
    networks.PROJECTION,
    container_managers.PROJECTION,
)
