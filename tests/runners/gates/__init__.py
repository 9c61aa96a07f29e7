"""Gates: real Prometheus, and servers that answer as they should not."""
