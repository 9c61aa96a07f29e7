"""A service with an operation of 1,000 hosts, without hosts: its steps are played.

    python -m bench.anchors.running_operation

prints where it is and the live address of the operation, and takes steps from the first line of
stdin on. Users are those of the tests.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.web.console import fleet
from tests.web.service import serving

HOSTS = 2_500
"""Two in five are in the cluster."""
STEP_S = 0.2
"""A host is done so often."""


def main() -> None:
    """Until it is killed."""
    with TemporaryDirectory() as directory, serving(Path(directory)) as service:
        fleet.seed(service, HOSTS)
        name = fleet.upgrade(service, "web", 1, 0)
        print(service.url, f"/live/operation/{name}", flush=True)
        sys.stdin.readline()
        while True:
            time.sleep(STEP_S)
            fleet.turn(service, name)


if __name__ == "__main__":
    main()
