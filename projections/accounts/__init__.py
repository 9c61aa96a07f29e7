"""Users, tokens and sessions: who may log in, as the log says."""
