"""Hosts are investigated and watched."""
