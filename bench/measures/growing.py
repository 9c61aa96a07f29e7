"""The fleet in small, a page of it and its counts: at 1,000 hosts, and at 100,000."""

import time
from functools import partial
from itertools import count
from statistics import median

from bench.figure import Bound, Figure, Scale, side_by_side
from bench.ground import Ground
from bench.processes import Ours
from bench.seed import address, labels

SMALL, LARGE = 1_000, 100_000
REQUESTS = 20
"""Of one side in a round; each after a change, so that no answer is remembered."""
TURN = count()

GROWTH_LIMIT = 2.0
FACETS_LIMIT_MS = 30.0
ROWS: dict[str, tuple[Bound, float | None]] = {
    "/fleet": ("at most", GROWTH_LIMIT),
    "/fleet/hosts?label=role%3Dr3&label=zone%3Dz1": ("at most", GROWTH_LIMIT),
    "/fleet/hosts?label=role%3Dr3&status=disassociated": ("at most", GROWTH_LIMIT),
    "/fleet/hosts?label=role%3Dr3&sort=since": ("at most", GROWTH_LIMIT),
    "/fleet/facets": ("ours at most", FACETS_LIMIT_MS),
    "/fleet/facets?label=role%3Dr3": ("ours at most", FACETS_LIMIT_MS),
    "/fleet/facets?q=127.0.1": ("ours at most", FACETS_LIMIT_MS),
    "/fleet/facets?label=role%3Dr3&q=z1": ("ours at most", FACETS_LIMIT_MS),
}


def fleet(ground: Ground, scale: Scale) -> list[Figure]:
    """GET of each with the larger fleet, against the smaller."""
    with ground.ours_labelled(SMALL) as small, ground.ours_labelled(LARGE) as large:
        return [
            side_by_side(
                f"GET {path}, {LARGE} hosts (bare: {SMALL})",
                partial(answered_in_ms, large, path),
                partial(answered_in_ms, small, path),
                scale.fleet_rounds,
                "ms",
                bound,
                limit,
            )
            for path, (bound, limit) in ROWS.items()
        ]


def answered_in_ms(ours: Ours, path: str) -> float:
    """How long an answer takes that was not given since the last change, in milliseconds."""
    took = []
    for _ in range(REQUESTS):
        turn, number = divmod(next(TURN), SMALL)
        given = labels(number) | {"turn": str(turn % 2)}
        ours.client.put(f"/host/{address(number)}/labels", json=given).raise_for_status()
        began = time.perf_counter()
        ours.client.get(path).raise_for_status()
        took.append(time.perf_counter() - began)
    return median(took) * 1000
