"""`commissaire` with a window: what it holds is told to whoever connects to a Unix socket.

python -m tests.end_to_end.ssh.inspected SOCKET serve …
"""

import asyncio
import gc
import json
import re
import socket
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import asyncssh
import uvloop

from runners.cli.main import main
from tests.support.service import Service

ANSWER_TIMEOUT_S = 60.0
POOLED = re.compile(r"(reads|bcrypt|aside|uvloop)_\d+")


class Held(NamedTuple):
    """What a process has in its hands."""

    tasks: int
    """Of asyncio, that are not done."""
    connections: int
    """Objects of SSH connections that somebody still refers to."""
    threads: int
    """But those of pools, which have as many as were needed at once, up to their limit."""
    descriptors: int
    objects: int
    """Containers that Python's garbage collector knows."""
    rss_kb: int
    """Resident memory."""


class InspectedService(Service):
    """The service with a window."""

    def command(self) -> list[str]:
        """The same, by way of this module."""
        words = super().command()
        place = words.index("runners.cli")
        return [*words[:place], __name__, str(self._window), *words[place + 1 :]]

    @property
    def _window(self) -> Path:
        return self.data.parent / "window"

    def held(self) -> Held:
        """What it holds now, garbage collected."""
        with socket.socket(socket.AF_UNIX) as window:
            window.settimeout(ANSWER_TIMEOUT_S)
            window.connect(str(self._window))
            return Held(*json.loads(window.makefile().read()))


def look() -> Held:
    """At this process."""
    gc.unfreeze()  # what was there at the start is to be found as well
    gc.collect()
    found = gc.get_objects()
    loops = [each for each in found if isinstance(each, uvloop.Loop)]
    assert loops, "no event loop was found"
    status = Path("/proc/self/status").read_text()
    return Held(
        sum(len(asyncio.all_tasks(loop)) for loop in loops),
        sum(isinstance(each, asyncssh.SSHClientConnection) for each in found),
        sum(not POOLED.fullmatch(thread.name) for thread in threading.enumerate()),
        len(list(Path("/proc/self/fd").iterdir())),
        len(found),
        int(status.partition("VmRSS:")[2].split()[0]),
    )


def serve_window(path: str) -> None:
    """Answer everybody who connects, for ever."""
    with socket.create_server(path, family=socket.AF_UNIX) as listener:
        while True:
            visitor, _ = listener.accept()
            with visitor:
                visitor.sendall(json.dumps(look()).encode())


if __name__ == "__main__":
    threading.Thread(target=serve_window, args=(sys.argv.pop(1),), daemon=True).start()
    main()
