"""The aggregates and the log that they write to: decisions, and nothing that runs."""
