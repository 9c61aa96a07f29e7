"""The table of all routes."""
