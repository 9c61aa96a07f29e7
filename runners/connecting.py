"""A TCP connection to a host: its name looked up, its addresses tried in turn."""

import asyncio
import ipaddress
import socket
from concurrent.futures import Executor

from runners.ssh_failure import no_connection

Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


async def connected_socket(
    address: str, port: int, limit_s: float, lookups: Executor
) -> socket.socket:
    """A connected, non-blocking socket, within `limit_s` seconds; SshFailure otherwise.

    Of a name with several addresses, each gets its share of the time that is left.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    try:
        async with asyncio.timeout_at(deadline):
            places = await _places(address, port, lookups)
            for left in range(len(places), 1, -1):
                share_s = (deadline - loop.time()) / left
                try:
                    async with asyncio.timeout(share_s):
                        return await _connected(places[-left])
                except OSError:  # TimeoutError too: the next address may do better
                    continue
            return await _connected(places[-1])
    except OSError as error:
        raise no_connection(address, port, limit_s, error) from error


async def _places(address: str, port: int, lookups: Executor) -> list[Place]:
    """Families and socket addresses of an IP address or a name; OSError where there is none."""
    try:
        version = ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        pass
    else:
        if version == 4:
            return [(socket.AF_INET, (address, port))]
        if "%" not in address:
            return [(socket.AF_INET6, (address, port, 0, 0))]
    found = await asyncio.get_running_loop().run_in_executor(
        lookups, lambda: socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    )
    return [(family, place) for family, _, _, _, place in found]  # type: ignore[misc]


async def _connected(place: Place) -> socket.socket:
    family, where = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
