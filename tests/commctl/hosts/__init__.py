"""Hosts and clusters by `commctl`."""
