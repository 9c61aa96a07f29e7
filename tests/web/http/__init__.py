"""Clients and their addresses."""
