"""Pages of who is there: log-in, oneself, users and tokens."""
