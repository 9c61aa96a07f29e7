"""Decisions: what commands do, and what they refuse."""
