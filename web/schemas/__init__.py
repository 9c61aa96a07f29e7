"""Bodies that clients send, and records that they get."""
