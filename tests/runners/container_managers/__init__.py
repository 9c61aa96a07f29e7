"""A small Kubernetes API server over a real socket, and what Commissaire makes of it."""
