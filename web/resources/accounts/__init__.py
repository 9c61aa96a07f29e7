"""Users, tokens and sessions over HTTP."""
