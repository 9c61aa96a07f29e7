"""A primary and its standby, as operators of PostgreSQL run them, and a service on both."""
