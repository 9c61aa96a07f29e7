"""Users, tokens, private keys, further authenticators, and the vault."""
