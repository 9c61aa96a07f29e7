"""Checks elsewhere that are asked before an operation starts a host."""
