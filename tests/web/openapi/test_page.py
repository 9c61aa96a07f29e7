"""`/docs` in a real browser that reaches nobody but the service."""

import html
import re
import subprocess
from pathlib import Path

from tests.support.service import DIE_WITH_US
from tests.web.service import WebService

LIMIT_S = 120
SCRIPTS_MS = 20_000
"""Of the page's own time, which stands still while it waits for an answer."""


def rendered(url: str, directory: Path) -> str:
    """What chromium makes of a page, as HTML, once its scripts have run."""
    browser = (
        *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={directory}", f"--virtual-time-budget={SCRIPTS_MS}"),
        # Whatever is not this machine is not there.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--dump-dom",
        url,
    )
    ended = subprocess.run(
        [*DIE_WITH_US, *browser],
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return ended.stdout


def test_the_page_shows_every_route_to_whoever_has_credentials(
    front: WebService, tmp_path: Path
) -> None:
    url = front.url.replace("//", "//viewer:viewer@")
    page = rendered(f"{url}/docs", tmp_path)
    shown = re.findall(r'opblock-summary-method">(\w+)<.*?data-path="([^"]+)"', page, re.DOTALL)
    table = {(route.verb, route.path) for route in front.table}
    assert {(verb, html.unescape(path)) for verb, path in shown} == table
    assert "errors-wrapper" not in page


def test_the_page_shows_nothing_to_strangers(front: WebService, tmp_path: Path) -> None:
    assert "opblock" not in rendered(f"{front.url}/docs", tmp_path)
