"""The composition root: builds the service from its settings, runs it, and stops it."""

from runners.settings import Settings


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status."""
    raise NotImplementedError(f"There is nothing to serve on port {settings.port} yet.")
