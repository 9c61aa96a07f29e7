"""PUT of new clusters, next to the bare parts that make a row durable; and how long a GET waits
meanwhile."""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count

from bench.anchors.bare_server import commit_row, open_rows
from bench.figure import Figure, Scale, side_by_side, under_load
from bench.ground import Ground
from bench.load import Load, Running, answered, sample
from bench.measures.reading import hosts_in_turn
from bench.processes import Bare

FLOOR = 0.55
GROUPED_FLOOR = 0.65
LOOP_FLOOR = 0.5
CLIENTS = 64
BODY = b"{}"
WRITERS = 16
P99_LIMIT = 5.0


def one_client(ground: Ground, scale: Scale) -> list[Figure]:
    """One after the other, against a bare route that commits a row."""
    names = prefixes()
    with ground.ours() as ours, Bare(ground.new_directory("bare")) as bare:
        cluster = f"{ours.url}/api/v0/cluster/"
        return under_load(
            "PUT /cluster/{name}, 1 client",
            lambda: sample(ours.pid, puts(cluster, 1, scale, names, ours.headers)),
            lambda: sample(bare.pid, puts(f"{bare.url}/row/", 1, scale, names)),
            scale.rounds,
            "at least",
            FLOOR,
        )


def many_clients(ground: Ground, scale: Scale) -> list[Figure]:
    """Many at once, against a loop without HTTP that commits rows one by one."""
    names = prefixes()
    directory = ground.new_directory("rows")
    directory.mkdir()
    with ground.ours() as ours, closing(open_rows(directory / "rows.db")) as rows:
        cluster = f"{ours.url}/api/v0/cluster/"

        def commits_per_second() -> float:
            prefix, begin = next(names), time.perf_counter()
            for done in count(1):
                commit_row(rows, f"{prefix}{done}", BODY)
                if (passed_s := time.perf_counter() - begin) > scale.seconds:
                    return done / passed_s
            raise AssertionError

        figure = side_by_side(
            f"PUT /cluster/{{name}}, {CLIENTS} clients (bare: loop of commits)",
            lambda: answered(puts(cluster, CLIENTS, scale, names, ours.headers)).per_second,
            commits_per_second,
            scale.rounds,
            "changes/s",
            "at least",
            LOOP_FLOOR,
        )
    return [figure, *_against_groups(ground, scale, names)]


def _against_groups(ground: Ground, scale: Scale, names: Iterator[str]) -> list[Figure]:
    """The same against a bare route that commits all who wait together."""
    with ground.ours() as ours, Bare(ground.new_directory("bare")) as bare:
        cluster = f"{ours.url}/api/v0/cluster/"
        return under_load(
            f"PUT /cluster/{{name}}, {CLIENTS} clients (bare: commits in groups)",
            lambda: sample(ours.pid, puts(cluster, CLIENTS, scale, names, ours.headers)),
            lambda: sample(bare.pid, puts(f"{bare.url}/grouped/", CLIENTS, scale, names)),
            scale.rounds,
            "at least",
            GROUPED_FLOOR,
        )


def p99(ground: Ground, scale: Scale) -> list[Figure]:
    """The time in which 99 of 100 are answered, of 16 clients that GET, while 16 others PUT."""
    names = prefixes()
    with ground.ours(0) as ours:
        reading = hosts_in_turn(ours.url, "/api/v0", scale, ours.headers)

        def while_others_write() -> float:
            url = f"{ours.url}/api/v0/cluster/"
            writing = Running(puts(url, WRITERS, scale, names, ours.headers))
            found = answered(reading)
            writing.wait()
            return found.p99_ms

        figure = side_by_side(
            f"p99 of GET a host while {WRITERS} clients PUT (bare: none)",
            while_others_write,
            lambda: answered(reading).p99_ms,
            scale.rounds,
            "ms",
            "at most",
            P99_LIMIT,
        )
    return [figure]


def prefixes() -> Iterator[str]:
    """So that no round asks for a name of another round."""
    return (f"r{number}-" for number in count())


def puts(
    url: str,
    clients: int,
    scale: Scale,
    names: Iterator[str],
    headers: dict[str, str] | None = None,
) -> Load:
    """PUT of names that begin with the path of `url` and the next of `names`."""
    scheme, _, rest = url.partition("://")
    place, _, path = rest.partition("/")
    return Load(
        f"{scheme}://{place}",
        clients,
        scale.seconds,
        headers or {},
        "put.lua",
        (f"/{path}{next(names)}",),
    )
