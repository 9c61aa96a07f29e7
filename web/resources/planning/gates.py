"""Gates over HTTP: those of the settings, which only the settings change."""

from collections.abc import Mapping
from typing import Any

from web.http.replies import Reply, digested, json_body
from web.http.requests import Request


class Gates:
    """The handler of `/gates`. `filters`: of a Prometheus which alerts count; "" is a URL."""

    def __init__(self, filters: Mapping[str, str]) -> None:
        self._body = json_body([_told(name, filters[name]) for name in sorted(filters)])

    async def index(self, request: Request) -> Reply:
        """All gates that this process can ask; their addresses stay in the settings."""
        return digested(request, self._body)


# Any: plain JSON.
def _told(name: str, alerts: str) -> dict[str, Any]:
    asks = "prometheus" if alerts else "url"
    return {"name": name, "asks": asks, "filter": alerts or None}
