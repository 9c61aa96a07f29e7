"""The API on the server that is tested."""

from tests.web.conftest import client, front, key

__all__ = ["client", "front", "key"]
