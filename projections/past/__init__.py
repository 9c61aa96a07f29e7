"""The fleet as it was at a time: replayed from the log, and from checkpoints of it."""
