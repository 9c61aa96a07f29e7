"""Container managers: connections, Kubernetes, and what both sides say of nodes."""
