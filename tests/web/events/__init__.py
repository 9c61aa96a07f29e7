"""Events, streams, and histories."""
