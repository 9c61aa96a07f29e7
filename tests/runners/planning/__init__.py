"""Schedules, with clocks that jump and processes that die."""
