"""SSH: connections, log-in, commands, failures, and when to try again."""
