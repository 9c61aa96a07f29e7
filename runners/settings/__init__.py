"""The settings: what they are, their kinds, and where they are read from."""
