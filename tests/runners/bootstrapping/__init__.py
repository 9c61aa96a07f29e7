"""Hosts are set up, step by step."""
