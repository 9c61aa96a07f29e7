"""Policies of clusters, and who holds their locks."""
