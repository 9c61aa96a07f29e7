"""PUT of new clusters, next to the bare parts that make a row durable."""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count

from bench.bare_server import commit_row, open_rows
from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.load import requests_per_second
from bench.processes import Bare

FLOOR = 0.5
CLIENTS = 64
BODY = b"{}"


def one_client(ground: Ground, scale: Scale) -> list[Figure]:
    """One after the other, against a bare route that commits a row."""
    prefixes = _prefixes()
    with ground.ours() as ours, Bare(ground.new_directory("bare")) as bare:
        figure = side_by_side(
            "PUT /cluster/{name}, 1 client",
            lambda: _puts(ours.url, "/api/v0/cluster/", 1, scale, prefixes, ours.headers),
            lambda: _puts(bare.url, "/row/", 1, scale, prefixes),
            scale,
            "requests/s",
            "at least",
            FLOOR,
        )
    return [figure]


def many_clients(ground: Ground, scale: Scale) -> list[Figure]:
    """Many at once, against a loop without HTTP that commits rows one by one."""
    prefixes = _prefixes()
    directory = ground.new_directory("rows")
    directory.mkdir()
    with ground.ours() as ours, closing(open_rows(directory / "rows.db")) as rows:

        def commits_per_second() -> float:
            prefix, begin = next(prefixes), time.perf_counter()
            for done in count(1):
                commit_row(rows, f"{prefix}{done}", BODY)
                if (passed_s := time.perf_counter() - begin) > scale.seconds:
                    return done / passed_s
            raise AssertionError

        figure = side_by_side(
            f"PUT /cluster/{{name}}, {CLIENTS} clients (bare: loop of commits)",
            lambda: _puts(ours.url, "/api/v0/cluster/", CLIENTS, scale, prefixes, ours.headers),
            commits_per_second,
            scale,
            "changes/s",
            "at least",
            FLOOR,
        )
    return [figure]


def _prefixes() -> Iterator[str]:
    """So that no round asks for a name of another round."""
    return (f"r{number}-" for number in count())


def _puts(
    url: str,
    path: str,
    clients: int,
    scale: Scale,
    prefixes: Iterator[str],
    headers: dict[str, str] | None = None,
) -> float:
    return requests_per_second(
        url, clients, scale.seconds, headers or {}, "put.lua", path + next(prefixes)
    )
