"""The aggregates: what is decided about each, and the events of each."""
