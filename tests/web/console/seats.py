"""Windows of a real browser in which somebody has logged in, and what axe says of a page."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.web.service import WebService
from web.console.frame.static_files import DIRECTORY

CHROMIUM = "/usr/bin/chromium"
LIMIT_MS = 60_000
AXE = DIRECTORY.parent / "npm/node_modules/axe-core/axe.min.js"
HAS_SCRIPTS = (DIRECTORY / "vendor/htmx.min.js").is_file() and AXE.is_file()
needs_scripts = pytest.mark.skipif(not HAS_SCRIPTS, reason="make console could not fetch them")
RUN_AXE = """
    axe.run().then(found => JSON.stringify(found.violations.map(
        each => each.id + ": " + each.nodes.map(node => node.target.join(" ")).join(", "))))
"""


class Seat:
    """A browser's page, and all that it complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.set_default_timeout(LIMIT_MS)
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def log_in(self, password: str = "admin") -> None:  # noqa: S107 - of tests alone
        """As an administrator."""
        self.page.goto(f"{self.url}/login")
        self.page.fill("#user", "admin")
        self.page.fill("#password", password)
        self.page.press("#password", "Enter")
        self.page.wait_for_url(f"{self.url}/")


@contextmanager
def launched() -> Iterator[Any]:
    """Debian's chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def seat(browser: Any, service: WebService, **options: Any) -> Seat:
    """A new window of it, in which somebody has logged in."""
    made = Seat(browser.new_context(**options).new_page(), service.url)
    made.log_in()
    return made


def violations(page: Page) -> list[str]:
    """What axe finds; it is put in beside the policy, as a reader's extension would be."""
    session = page.context.new_cdp_session(page)
    session.send("Page.enable")
    world = session.send(
        "Page.createIsolatedWorld",
        {"frameId": session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]},
    )["executionContextId"]
    session.send("Runtime.evaluate", {"expression": AXE.read_text(), "contextId": world})
    found = session.send(
        "Runtime.evaluate",
        {"expression": RUN_AXE, "contextId": world, "awaitPromise": True, "returnByValue": True},
    )
    told: list[str] = json.loads(found["result"]["value"])
    return told
