"""Fold a log from its beginning up to a position, list the hosts, and print how long it took.

python -m bench.anchors.replaying DATABASE POSITION
"""

import sys
import time
from contextlib import closing
from pathlib import Path

from domain.log.engines.sqlite import SQLiteEngine
from projections import hosts
from projections.past.past import FLEET, Scratch, advance


def main(database: Path, position: int) -> None:
    """Seconds by the clock, and of CPU."""
    with closing(SQLiteEngine(database, read_only=True)) as engine:
        begin, cpu = time.perf_counter(), time.process_time()
        scratch = Scratch(FLEET)
        advance(engine, scratch, position)
        hosts.hosts(scratch.tx, hosts.Filter())
        print(time.perf_counter() - begin, time.process_time() - cpu)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
