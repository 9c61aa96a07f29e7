"""The least that reading a log takes: every row of the table, and its JSON decoded.

    python -m bench.anchors.raw_scan DATABASE

Prints how long it took: by the clock, and of CPU, in seconds.
"""

import sqlite3
import sys
import time
from contextlib import closing

import orjson

ROWS = """
    SELECT position, recorded_at, originator_id, originator_version, topic, state
    FROM stored_events ORDER BY position
"""


def main() -> None:
    """Nothing is done with what is read."""
    began, cpu = time.perf_counter(), time.process_time()
    with closing(sqlite3.connect(sys.argv[1])) as connection:
        for row in connection.execute(ROWS):
            orjson.loads(row[5])
    print(time.perf_counter() - began, time.process_time() - cpu)


if __name__ == "__main__":
    main()
