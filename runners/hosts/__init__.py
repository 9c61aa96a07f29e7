"""Hosts that are probed: investigated at first, watched later, and what comes out of it."""
