"""Begins the operations of schedules when they are due."""
