"""Pages of the fleet: what is now, hosts, clusters, and all of them on a map."""
