"""Read models: tables that are derived from the log, and the queries that GET serves."""
