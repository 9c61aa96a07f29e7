"""Events for clients: pages, streams, CloudEvents, histories."""
