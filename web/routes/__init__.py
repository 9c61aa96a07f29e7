"""The tables of all routes."""
