"""The operators' command line, on a real service."""
