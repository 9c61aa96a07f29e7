"""The fleet as it was at a time."""
