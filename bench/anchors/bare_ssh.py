"""asyncssh alone: connect, run our script of facts, hang up.

Its options are its own defaults; with the argument `prepared`, they are our ciphers, exchanges of
keys and kinds of host keys, made ready once for all hosts with the same key. Reads
`[[address, port, user, private key], …]` from stdin; prints the CPU seconds it took.
"""

import asyncio
import json
import sys
import time
from functools import lru_cache

import asyncssh
import uvloop

from runners.hosts.facts import SCRIPT
from runners.ssh.client import PARALLEL
from runners.ssh.login import CIPHERS, HOST_KEY_ALGORITHMS, KEY_EXCHANGES

Target = tuple[str, int, str, str]


@lru_cache
def prepared(user: str, key: str) -> asyncssh.SSHClientConnectionOptions:
    """What we ask of asyncssh, and nothing that comes from a file or an agent."""
    return asyncssh.SSHClientConnectionOptions(
        username=user,
        client_keys=[asyncssh.import_private_key(key)],
        known_hosts=None,
        agent_path=None,
        config=None,
        preferred_auth=["publickey"],
        server_host_key_algs=[name for names in HOST_KEY_ALGORITHMS.values() for name in names],
        kex_algs=KEY_EXCHANGES,
        encryption_algs=CIPHERS,
        compression_algs=["none"],
        gss_host=None,
    )


def by_default(user: str, key: str) -> asyncssh.SSHClientConnectionOptions:
    """Its defaults, for each host anew, as `asyncssh.connect` makes them."""
    return asyncssh.SSHClientConnectionOptions(
        username=user, client_keys=[asyncssh.import_private_key(key)], known_hosts=None
    )


OPTIONS = prepared if sys.argv[1:] == ["prepared"] else by_default


async def look(places: asyncio.Semaphore, target: Target) -> None:
    """One host."""
    address, port, user, key = target
    async with places, asyncssh.connect(address, port, options=OPTIONS(user, key)) as wire:
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
