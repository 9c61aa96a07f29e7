"""Pages of the console: of a large fleet next to a small one, and many that are open at once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

from playwright.sync_api import sync_playwright

from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.load import Load, answered
from bench.processes import LOAD_CPU, SERVER_CPU, Ours, cpu_seconds, pinned
from bench.seed import address, labels

SMALL, LARGE = 10, 20_000
PAGES = {"Now": "/", "Hosts": "/hosts"}
PAGE_LIMIT_MS = 300.0
GROWTH_LIMIT = 1.5
REQUESTS = 20
TURN = count()
CHROMIUM = "/usr/bin/chromium"
MAP_LIMIT_MS = 50.0
FEW, MANY = 10, 200
CPU_LIMIT, P99_LIMIT = 2.0, 3.0
SETTLE_S = 3.0
WATCHED_S = 10.0
CONNECTIONS = 16


def pages(ground: Ground, scale: Scale) -> list[Figure]:
    """How long the service takes for a page of the larger fleet, each after a change."""
    with ground.ours_labelled(SMALL) as small, ground.ours_labelled(LARGE) as large:
        figures = []
        for name, path in PAGES.items():
            growth = side_by_side(
                f"the page {name}, {LARGE} hosts (bare: {SMALL})",
                partial(_answered_in_ms, large, path, LARGE),
                partial(_answered_in_ms, small, path, SMALL),
                scale.fleet_rounds,
                "ms",
                "at most" if name == "Now" else "for comparison",
                GROWTH_LIMIT if name == "Now" else None,
            )
            ours, bare = growth.ours, growth.bare
            whole = f"  in ms, {LARGE} hosts"
            figures += [
                growth,
                Figure(whole, ours, bare, ours / bare, "ms", "ours at most", PAGE_LIMIT_MS),
            ]
        return [*figures, *_map(large, scale)]


def _answered_in_ms(ours: Ours, path: str, hosts: int) -> float:
    took = []
    for _ in range(REQUESTS):
        turn, number = divmod(next(TURN), hosts)
        given = labels(number) | {"turn": str(turn % 2)}
        ours.client.put(f"/host/{address(number)}/labels", json=given).raise_for_status()
        began = time.perf_counter()
        ours.client.get(f"{ours.url}{path}").raise_for_status()
        took.append(time.perf_counter() - began)
    return median(took) * 1000


def _map(ours: Ours, scale: Scale) -> list[Figure]:
    """How long a browser takes to draw the map of all hosts."""
    drawn = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{ours.url}/login")
        page.fill("#user", "admin")
        page.fill("#password", ours.password)
        page.press("#password", "Enter")
        page.wait_for_url(f"{ours.url}/")
        for _ in range(scale.fleet_rounds):
            page.goto(f"{ours.url}/hosts")
            page.wait_for_selector(".map[data-drawn-ms]")
            drawn.append(float(page.locator(".map").get_attribute("data-drawn-ms") or "nan"))
        browser.close()
    name = f"the map of {LARGE} hosts is drawn"
    return [Figure(name, median(drawn), 0, 1.0, "ms", "ours at most", MAP_LIMIT_MS)]


class Watched(NamedTuple):
    """An operation that runs, in a process of its own."""

    pid: int
    url: str
    page: str
    process: "subprocess.Popen[str]"

    def headers(self) -> dict[str, str]:
        """As its administrator."""
        return {"Authorization": "Basic YWRtaW46YWRtaW4="}  # admin:admin, of this process alone


def viewers(ground: Ground, scale: Scale) -> list[Figure]:
    """CPU of the service with many pages open on an operation that runs, against few; and how
    long others wait meanwhile, against an operation that nobody looks at and that stands still."""
    with _watched() as watched:
        waiting = Load(
            f"{watched.url}/api/v0/host/10.0.0.1", CONNECTIONS, scale.seconds, watched.headers()
        )
        idle = median(answered(waiting).p99_ms for _ in range(scale.rounds))
        assert watched.process.stdin is not None
        watched.process.stdin.write("go\n")
        watched.process.stdin.flush()
        with _open(watched, FEW):
            few = _cpu_share(watched.pid)
        with _open(watched, MANY):
            many = _cpu_share(watched.pid)
            busy = median(answered(waiting).p99_ms for _ in range(scale.rounds))
    name = f"{MANY} pages on a running operation of 1,000 hosts"
    return [
        Figure(f"{name}: share of a core (bare: {FEW})", many, few, many / few, "", "at most",
               CPU_LIMIT),
        Figure(f"{name}: p99 of GET a host (bare: idle)", busy, idle, busy / idle, "ms", "at most",
               P99_LIMIT),
    ]  # fmt: skip


def _cpu_share(pid: int) -> float:
    time.sleep(SETTLE_S)
    begin, began = cpu_seconds(pid), time.monotonic()
    time.sleep(WATCHED_S)
    return (cpu_seconds(pid) - begin) / (time.monotonic() - began)


@contextmanager
def _watched() -> Iterator[Watched]:
    with subprocess.Popen(
        pinned(SERVER_CPU, [sys.executable, "-m", "bench.anchors.running_operation"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url, page = process.stdout.readline().split()
            yield Watched(process.pid, url, page, process)
        finally:
            process.kill()


@contextmanager
def _open(watched: Watched, number: int) -> Iterator[None]:
    """So many browsers that have the page open, and read what comes."""
    command = [sys.executable, "-m", "bench.page_client", str(number), watched.url, watched.page]
    command += [f"{name}: {value}" for name, value in watched.headers().items()]
    with subprocess.Popen(
        pinned(LOAD_CPU, command), stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield
        finally:
            process.kill()
