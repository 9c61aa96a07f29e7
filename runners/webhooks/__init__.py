"""Webhooks: events of the log sent to whoever must know, signed, in order, at least once."""
