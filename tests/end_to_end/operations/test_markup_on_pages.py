"""Hosts that answer with markup wherever they can: pages show it as text, and run nothing of it."""

import shlex
from pathlib import Path
from urllib.parse import quote

import asyncssh

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.fleet.layout import write
from tests.support.service import Service
from tests.web.console.seats import Seat, launched

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
NOT_OURS = "script:not([src]), img, [onerror]"


def test_markup_of_hosts_is_text_on_every_page(tmp_path: Path, fleet: Fleet) -> None:
    talker, odd = fleet.add("fedora"), fleet.add("debian")
    for host in (talker, odd):
        host.private_key = commented(host.private_key)
        key = host.path("/run/fleet/host_key")
        write(key, commented(key.read_bytes()), 0o600)
        host.banner(MARKUP)
    write(talker.path("/usr/bin/dnf"), f"#!/bin/sh\necho {shlex.quote(MARKUP)}\nexit 1\n", 0o755)
    write(odd.path("/usr/lib/os-release"), f"ID='{MARKUP}'\n")
    with Service(tmp_path / "service", None, *QUICK) as service, launched() as browser:
        rolled = Rolled(service, [talker])
        service.register(odd, cluster=rolled.cluster).raise_for_status()
        service.wait_for_status(odd.address, "failed")
        name = rolled.begin("upgrade", max_failures=0)
        rolled.over()
        sat = Seat(browser.new_page(), service.url)
        sat.log_in(service.password)
        part = f"/operation/{name}/hosts/{quote(talker.address, safe='')}"
        event = service.client.get("/events?type=host.failed&limit=1").json()[0]["id"]
        told = ("/", "/hosts", f"/host/{odd.address}", "/history", f"/history/{event}",
                f"{part}/output", "/past?page=/hosts&back=0")  # fmt: skip
        others = ("/clusters", f"/cluster/{rolled.cluster}", f"/host/{talker.address}",
                  "/operations", f"/operation/{name}", "/diff?at=2026-01-01", "/about")  # fmt: skip
        for path in (*told, *others):
            sat.page.goto(service.url + path)
            assert sat.page.locator(NOT_OURS).count() == 0, path
            assert path not in told or "<script>alert(1)" in sat.page.inner_text("main"), path
        proof = sat.page.request.get(f"{service.url}{part}/evidence.json").json()
        assert proof["output"]["is_as_logged"] is True
        assert proof["steps"][0]["evidence"]["exit_status"] == 1
        assert sat.complaints == []


def commented(private: bytes) -> bytes:
    """The same key, of which its file says something else."""
    key = asyncssh.import_private_key(private)
    key.set_comment(MARKUP)
    return key.export_private_key("openssh")
