"""From a path to its route, and how a route is described."""
