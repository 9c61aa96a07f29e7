"""Rollouts on real hosts: waves, windows, gates, locks and scripts."""
