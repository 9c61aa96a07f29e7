"""Pictures of all pages, for several sizes of fleet, in both schemes and two widths.

`python -m tests.web.console.screenshots [DIRECTORY] [--hosts N]... [--only TEXT]`
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.web.console import fleet
from tests.web.console.seats import launched, seat
from tests.web.service import WebService, serving

SIZES = (10, 1_000, 20_000)
SCREENS = [(scheme, width) for scheme in ("light", "dark") for width in (1440, 360)]
HEIGHT = 900
TALL = 4_000
"""A picture ends there, however long its page is."""
DRAWN_MS = 400


def pages(service: WebService, count: int) -> Iterator[tuple[str, str]]:
    """Names and addresses of what there is to see."""
    upgraded = fleet.upgrade(service, "web", min(count // 4, 120), 1 + count // 1000)
    middle = service.events[len(service.events) // 2].recorded_at
    waits, held = fleet.plan(service), fleet.hold(service, "db")
    with service.client() as api:
        first = api.get(f"/operation/{upgraded}").json()["hosts"][0]["address"]
    failed, well = fleet.address(9), fleet.address(4)
    yield "now", "/"
    yield "hosts", "/hosts"
    yield "hosts-failed", "/hosts?status=failed"
    yield "hosts-nothing", "/hosts?q=nowhere"
    yield "host-failed", f"/host/{failed}"
    yield "host", f"/host/{well}"
    yield "clusters", "/clusters"
    yield "cluster", "/cluster/web"
    yield "cluster-locks", "/cluster/cache"
    yield "operations", "/operations"
    yield "operation", f"/operation/{upgraded}"
    yield "output", f"/operation/{upgraded}/hosts/{first}/output"
    yield "start", "/operations/new?cluster=db"
    yield "planned", "/planned"
    yield "webhooks", "/webhooks"
    yield "webhook", "/webhooks/chat"
    yield "waves", f"/operation/{waits}"
    yield "held", f"/operation/{held}"
    yield "history", "/history"
    yield "event", f"/history/{service.events[len(service.events) // 3].position}"
    yield "past-now", f"/?at={middle}"
    yield "past-hosts", f"/hosts?at={middle}"
    yield "diff", f"/diff?at={middle}"
    for name in ("me", "users", "tokens", "about"):
        yield name, f"/{name}"
    yield "not-there", "/host/192.0.2.1"


def take(browser: Any, service: WebService, count: int, directory: Path, only: str) -> None:
    """All pictures of a fleet of this size."""
    found = [(name, path) for name, path in pages(service, count) if only in name]
    for scheme, width in SCREENS:
        window = seat(
            browser, service, color_scheme=scheme, viewport={"width": width, "height": HEIGHT}
        )
        page = window.page
        for name, path in found:
            page.goto(service.url + path)
            page.wait_for_timeout(DRAWN_MS)
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALL)
            clip: Any = {"x": 0, "y": 0, "width": width, "height": height}
            file = directory / f"{name}-{count}-{scheme}-{width}.png"
            page.screenshot(path=file, full_page=True, clip=clip)
        page.context.close()


def main() -> None:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("screenshots"))
    parser.add_argument("--hosts", type=int, action="append", help="for each size of fleet")
    parser.add_argument("--only", default="", help="pages with this in their name")
    chosen = parser.parse_args()
    chosen.directory.mkdir(exist_ok=True)
    for count in chosen.hosts or SIZES:
        with TemporaryDirectory() as data, serving(Path(data)) as service:
            fleet.seed(service, count)
            with launched() as browser:
                take(browser, service, count, chosen.directory, chosen.only)
        print(f"{count} hosts: {chosen.directory}", flush=True)


if __name__ == "__main__":
    main()
