"""A sender, and somebody to send to."""

from tests.runners.webhooks.play import play, there

__all__ = ["play", "there"]
