"""The engines: SQLite and PostgreSQL, whole and in trouble."""
