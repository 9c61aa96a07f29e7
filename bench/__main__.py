"""Measure what is promised, and print one table.

python -m bench [--quick] [--only NAME]...
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.figure import Figure, Scale
from bench.ground import Ground
from bench.measures import (
    authenticating,
    commanding,
    console,
    growing,
    keeping,
    looking_back,
    proving,
    reading,
    rebuilding,
    streaming,
    writing,
)
from bench.measures.hosts import bootstrapping, investigating, upgrading, watching
from bench.table import table

MEASURES: dict[str, Callable[[Ground, Scale], list[Figure]]] = {
    "host": reading.host,
    "host-busy": reading.busy_host,
    "host-never-again": reading.never_again,
    "hosts": reading.hosts,
    "put": writing.one_client,
    "puts": writing.many_clients,
    "investigate": investigating.cpu,
    "start": keeping.start,
    "memory": keeping.memory,
    "disk": keeping.disk,
    "auth": authenticating.headers,
    "certificate": authenticating.certificate,
    "p99": writing.p99,
    "stream": streaming.fan_out,
    "webhook": streaming.webhook,
    "upgrade": upgrading.against_ansible,
    "bootstrap": bootstrapping.against_ansible,
    "past": looking_back.one_host,
    "past-fleet": looking_back.fleet,
    "past-crowd": looking_back.crowd,
    "rebuild": rebuilding.rate,
    "rebuild-p99": rebuilding.p99,
    "verify": proving.verify,
    "proof": proving.proof,
    "puts-tree": proving.puts_with_tree,
    "checks": watching.rate,
    "fleet": watching.fleet,
    "growth": growing.fleet,
    "console": console.pages,
    "console-viewers": console.viewers,
    "commctl": commanding.commctl,
}


def main() -> int:
    """Exit status 1 where a figure was missed, 2 where something to measure with is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, few of them")
    parser.add_argument("--only", action="append", choices=MEASURES, metavar="NAME",
                        help=f"one of {', '.join(MEASURES)}; may be given again")  # fmt: skip
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        print("bench: wrk is missing (`make bench` installs it)", file=sys.stderr)
        return 2
    scale = Scale.quick() if chosen.quick else Scale()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="commissaire-bench-") as scratch:
        ground = Ground(Path(scratch))
        for name in chosen.only or MEASURES:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            figures += MEASURES[name](ground, scale)
    print(table(figures))
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
