"""The process manager of operations against a fleet and a clock that are played, by a seed."""
