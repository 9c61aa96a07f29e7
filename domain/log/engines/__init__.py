"""The two databases that the log is kept in: one SQLite file, or PostgreSQL."""
