"""Log lines, and files that are read together."""
