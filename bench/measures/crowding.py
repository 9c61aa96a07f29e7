"""How long a GET waits while others write, next to a GET while nobody does."""

from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.load import Running, answered
from bench.measures.reading import hosts_in_turn
from bench.measures.writing import prefixes, puts

WRITERS = 16
LIMIT = 5.0


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
            LIMIT,
        )
    return [figure]
