"""The HTTP server: sockets, TLS, connections, their limits, and responses."""
