"""Policies of rollouts."""
