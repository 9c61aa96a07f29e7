"""Questions to the log: what it said by a time, and which of its events a filter finds."""
