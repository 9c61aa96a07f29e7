"""GET of one host and of all, next to bare routes that answer with the same bytes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import httpx

from bench.figure import Figure, Scale, under_load
from bench.ground import HOSTS, Ground
from bench.load import Load, sample
from bench.processes import Bare
from bench.seed import address

CONNECTIONS = 16
LIST_CONNECTIONS = 4
ADDRESSES = 1000
"""How many hosts are asked for in turn."""

HOST_FLOOR = 1.2
BUSY_FLOOR = 0.9
UNCHANGED_FLOOR = 1.0
NEVER_AGAIN_FLOOR = 0.9
LIST_FLOOR = 0.5
WATCHED = 1000
WATCHED_EVERY_S = 60
COMMIT_EVERY_S = 1.0


def host(ground: Ground, scale: Scale) -> list[Figure]:
    """GET `/host/{address}`, authenticated."""
    with ground.ours(0) as ours:
        body = ours.client.get(f"/host/{address(0)}").raise_for_status().content
        with Bare(ground.new_directory("bare"), host=body) as bare:
            our_load = hosts_in_turn(ours.url, "/api/v0", scale, ours.headers)
            bare_load = hosts_in_turn(bare.url, "", scale)
            return under_load(
                "GET /host/{address}",
                lambda: sample(ours.pid, our_load),
                lambda: sample(bare.pid, bare_load),
                scale.rounds,
                "at least",
                HOST_FLOOR,
            )


def busy_host(ground: Ground, scale: Scale) -> list[Figure]:
    """The same, while the watcher looks at hosts, and somebody changes something every second."""
    watched = ground.ours_watched(WATCHED, WATCHED_EVERY_S)
    with watched as ours, committing(ours.client):
        body = ours.client.get(f"/host/{address(0)}").raise_for_status().content
        with Bare(ground.new_directory("bare"), host=body) as bare:
            our_load = hosts_in_turn(ours.url, "/api/v0", scale, ours.headers)
            bare_load = hosts_in_turn(bare.url, "", scale)
            return under_load(
                f"GET /host/{{address}}, {WATCHED} watched hosts, a commit a second",
                lambda: sample(ours.pid, our_load),
                lambda: sample(bare.pid, bare_load),
                scale.rounds,
                "at least",
                BUSY_FLOOR,
            )


def never_again(ground: Ground, scale: Scale) -> list[Figure]:
    """GETs whose bytes never come again, against the same service that keeps no answers."""
    path = f"/api/v0/host/{address(0)}"
    with ground.ours(0) as ours, ground.ours(0, "--known-answers-bytes", "0") as bare:
        loads = [
            Load(each.url, CONNECTIONS, scale.seconds, each.headers, "never_again.lua", (path,))
            for each in (ours, bare)
        ]
        return under_load(
            "GET a host, never twice in the same bytes (bare: no answers kept)",
            lambda: sample(ours.pid, loads[0]),
            lambda: sample(bare.pid, loads[1]),
            scale.rounds,
            "at least",
            NEVER_AGAIN_FLOOR,
        )


@contextmanager
def committing(client: httpx.Client) -> Iterator[None]:
    """Change something every second, in the background."""
    ended = threading.Event()

    def change() -> None:
        for number in count():
            if ended.wait(COMMIT_EVERY_S):
                return
            client.put(f"/cluster/busy-{number}").raise_for_status()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def hosts(ground: Ground, scale: Scale) -> list[Figure]:
    """GET `/hosts`, whole, and answered 304."""
    with ground.ours(0) as ours:
        whole = ours.client.get("/hosts").raise_for_status()
        known = {"If-None-Match": whole.headers["etag"]}
        if ours.client.get("/hosts", headers=known).status_code != 304:
            raise RuntimeError("GET /hosts with If-None-Match is not answered 304")
        body = ours.client.get(f"/host/{address(0)}").raise_for_status().content
        url, headers = f"{ours.url}/api/v0/hosts", ours.headers
        with Bare(ground.new_directory("bare"), host=body, hosts=whole.content) as bare:
            every = Load(url, LIST_CONNECTIONS, scale.seconds, headers)
            bare_every = Load(f"{bare.url}/hosts", LIST_CONNECTIONS, scale.seconds, {})
            unchanged = Load(url, CONNECTIONS, scale.seconds, headers | known)
            bare_unchanged = Load(f"{bare.url}/unchanged", CONNECTIONS, scale.seconds, known)
            return under_load(
                f"GET /hosts, {HOSTS} hosts",
                lambda: sample(ours.pid, every),
                lambda: sample(bare.pid, bare_every),
                scale.rounds,
                "at least",
                LIST_FLOOR,
            ) + under_load(
                "GET /hosts, unchanged: 304 (bare: 304 too)",
                lambda: sample(ours.pid, unchanged),
                lambda: sample(bare.pid, bare_unchanged),
                scale.rounds,
                "at least",
                UNCHANGED_FLOOR,
            )


def hosts_in_turn(url: str, root: str, scale: Scale, headers: dict[str, str] | None = None) -> Load:
    """GET of one host after the other."""
    arguments = (f"{root}/host/", str(ADDRESSES))
    return Load(url, CONNECTIONS, scale.seconds, headers or {}, "hosts.lua", arguments)
