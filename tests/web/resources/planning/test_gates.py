"""`/gates`: what the settings of the service name."""

import httpx


def test_they_are_told_by_name_without_their_addresses(api: httpx.Client) -> None:
    answer = api.get("/gates")
    told = {"name": "alerts", "asks": "prometheus", "filter": 'severity="page"'}
    assert answer.json() == [told]
    assert api.get("/gates", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
