"""The command line: each command in a file, and what they share."""
