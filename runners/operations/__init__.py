"""Drives operations over the hosts of a cluster, a step of a host at a time."""
