"""GET of one host and of all, next to bare routes that answer with the same bytes."""

from bench.figure import Figure, Measure, Scale, side_by_side
from bench.ground import HOSTS, Ground
from bench.load import requests_per_second
from bench.processes import Bare, Ours
from bench.seed import address

CONNECTIONS = 16
LIST_CONNECTIONS = 4
ADDRESSES = 1000
"""How many hosts are asked for in turn."""

HOST_FLOOR = 0.4
LIST_FLOOR = 0.5


def host(ground: Ground, scale: Scale) -> list[Figure]:
    """GET `/host/{address}`, authenticated."""
    with ground.ours(0) as ours:
        body = ours.client.get(f"/host/{address(0)}").raise_for_status().content
        with Bare(ground.new_directory("bare"), host=body) as bare:
            figure = side_by_side(
                "GET /host/{address}",
                lambda: _hosts_in_turn(ours.url, "/api/v0", scale, ours.headers),
                lambda: _hosts_in_turn(bare.url, "", scale),
                scale,
                "requests/s",
                "at least",
                HOST_FLOOR,
            )
    return [figure]


def hosts(ground: Ground, scale: Scale) -> list[Figure]:
    """GET `/hosts`, whole, and answered 304."""
    with ground.ours(0) as ours:
        whole = ours.client.get("/hosts").raise_for_status()
        body = ours.client.get(f"/host/{address(0)}").raise_for_status().content
        with Bare(ground.new_directory("bare"), host=body, hosts=whole.content) as bare:
            every = side_by_side(
                f"GET /hosts ({HOSTS} hosts)",
                _list_rate(ours, scale, {}),
                lambda: requests_per_second(
                    f"{bare.url}/hosts", LIST_CONNECTIONS, scale.seconds, {}
                ),
                scale,
                "requests/s",
                "at least",
                LIST_FLOOR,
            )
            known = {"If-None-Match": whole.headers["etag"]}
            if ours.client.get("/hosts", headers=known).status_code != 304:
                raise RuntimeError("GET /hosts with If-None-Match is not answered 304")
            unchanged = side_by_side(
                "GET /hosts, unchanged (304)",
                _list_rate(ours, scale, known, CONNECTIONS),
                lambda: _hosts_in_turn(bare.url, "", scale),
                scale,
                "requests/s",
                "at least",
                HOST_FLOOR,
            )
    return [every, unchanged]


def _hosts_in_turn(
    url: str, root: str, scale: Scale, headers: dict[str, str] | None = None
) -> float:
    arguments = (f"{root}/host/", str(ADDRESSES))
    return requests_per_second(
        url, CONNECTIONS, scale.seconds, headers or {}, "hosts.lua", *arguments
    )


def _list_rate(
    ours: Ours, scale: Scale, headers: dict[str, str], connections: int = LIST_CONNECTIONS
) -> Measure:
    return lambda: requests_per_second(
        f"{ours.url}/api/v0/hosts", connections, scale.seconds, {**ours.headers, **headers}
    )
