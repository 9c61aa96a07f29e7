"""The commands that span aggregates, and what runners put into the log."""
