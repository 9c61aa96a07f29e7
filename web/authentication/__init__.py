"""Who asks, and what they may do: passwords, certificates, tokens."""
