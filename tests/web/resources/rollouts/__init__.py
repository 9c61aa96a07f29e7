"""Policies of clusters, and locks."""
