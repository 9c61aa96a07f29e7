"""Users, tokens, keys, authenticators."""
