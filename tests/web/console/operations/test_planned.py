"""`/planned`: the next firings of schedules, and which windows are open."""

from typing import Any

from tests.web.console.browser import browsing
from tests.web.service import WebService

OPEN: dict[str, Any] = {"zone": "UTC", "starts": "* * * * *", "duration_s": 3600}
CLOSED = OPEN | {"starts": "0 0 29 2 *", "except": ["2028-02-29"]}


def test_it_tells_what_fires_next_and_what_is_open(service: WebService) -> None:
    with browsing(service) as admin:
        page = admin.see("/planned").text
        assert "Nothing begins by itself" in page
        assert "Operations may start hosts at any time" in page
        with service.client() as api:
            assert api.put("/cluster/web").status_code == 201
            for name, body in (("always", OPEN), ("rare", CLOSED)):
                assert api.put(f"/window/{name}", json=body).status_code == 201
            operation = {"kind": "upgrade", "cluster": "web", "window": "always"}
            plan = {"cron": "0 2 * * 0", "zone": "Europe/Berlin", "operation": operation}
            fires = api.put("/schedule/sundays", json=plan).json()["next"]
        answer = admin.client.get("/planned")
        for time in fires:
            assert f'datetime="{time}Z"' in answer.text
        page = admin.see("/planned").text
        for words in ("open until", "closed", "2028-02-29", "did not fire yet", "in window always"):
            assert words in page, words
        assert 'href="/planned"' in admin.client.get("/operations").text
