"""What `serve` starts to make read models anew: `python -m runners.database.rebuild_process NAME…`.

Apart from the service, so that neither its event loop nor its memory has anything of it, and with
less weight. It says how it goes in lines of JSON, and ends when nobody reads them any more.
"""

import gc
import os
import sys
import time
from collections.abc import Mapping

import orjson

from projections.all import PROJECTIONS
from projections.rebuilding.rebuild import rebuild
from projections.rebuilding.scratch import Scratch, ScratchTaken
from runners.database.existing import DatabaseRefused, existing_database
from runners.settings.reading import settings_of

NICE = 10
TELL_EVERY_S = 0.5


def main(names: list[str]) -> int:
    """Exit status 0 when all is done, 1 when it is not."""
    os.nice(NICE)
    gc.disable()  # there are no cycles in what comes and goes with each event
    projections = [each for each in PROJECTIONS if each.name in names]
    try:
        with (
            existing_database(None, None, None, writes=True) as engine,
            Scratch(settings_of().scratch_file, projections) as scratch,
        ):
            found = rebuild(engine, projections, scratch, advance=_Telling().advance)
    except (DatabaseRefused, ScratchTaken) as refused:
        _tell({"failed": str(refused)})
        return 1
    halted = {name: halt.why for name, halt in found.stops.items()}
    _tell({"changed": found.changed, "halted": halted})
    return 0


class _Telling:
    """Now and then."""

    def __init__(self) -> None:
        self._told_at = -TELL_EVERY_S

    def advance(self, position: int, head: int) -> None:
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            _tell({"position": position, "head": head})


def _tell(said: Mapping[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
