"""asyncssh alone, with its own defaults: connect, run our script of facts, hang up.

Reads `[[address, port, user, private key], …]` from stdin; prints the CPU seconds it took.
"""

import asyncio
import json
import sys
import time

import asyncssh
import uvloop

from runners.hosts.facts import SCRIPT
from runners.ssh.client import PARALLEL

Target = tuple[str, int, str, str]


async def look(places: asyncio.Semaphore, target: Target) -> None:
    """One host."""
    address, port, user, key = target
    async with (
        places,
        asyncssh.connect(
            address,
            port,
            username=user,
            client_keys=[asyncssh.import_private_key(key)],
            known_hosts=None,
        ) as wire,
    ):
        done = await wire.run(f"nonce=0\n{SCRIPT}", check=True)
        assert "ID=" in str(done.stdout)


async def main() -> None:
    """All hosts, as many at once as the service takes."""
    targets: list[Target] = json.load(sys.stdin)
    places = asyncio.Semaphore(PARALLEL)
    begin = time.process_time()
    await asyncio.gather(*(look(places, target) for target in targets))
    print(time.process_time() - begin)


if __name__ == "__main__":
    uvloop.run(main())
