"""The event log: append-only, on SQLite or PostgreSQL, with one writer thread a process."""
