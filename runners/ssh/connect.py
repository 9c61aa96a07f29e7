"""TCP connections to hosts: a name is looked up, and its addresses are tried in turn."""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import threading

from runners.ssh.failure import no_connection, slow_lookup

LOOKUPS_MAX = 32
"""Look-ups at once. One that is not waited for any more counts until the resolver gives up."""

KEEPALIVES = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}
"""The kernel's: so a connection that nobody uses is not forgotten by what translates addresses on
the way, and one that leads nowhere any more ends within two minutes."""

Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


class Lookups:
    """Asks the machine's resolver, in daemon threads, which end with the process.

    Threads of an executor are waited for when a process exits: name servers that hang would hold up
    the end of the service, and other work in the executor meanwhile.
    """

    def __init__(self, at_once: int = LOOKUPS_MAX) -> None:
        self._slots = asyncio.Semaphore(at_once)

    async def find(self, name: str, port: int) -> list[Place]:
        """Families and socket addresses of a name; OSError where there is none."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Place]] = loop.create_future()

        def look_up() -> None:
            places: list[Place] = []
            error: OSError | None = None
            try:
                answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
                places = [(family, place) for family, _, _, _, place in answers]  # type: ignore[misc]
            except UnicodeError:
                error = socket.gaierror(socket.EAI_NONAME, "no name that could be looked up")
            except OSError as failure:
                error = failure
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._hand_over, found, places, error)

        try:
            threading.Thread(target=look_up, name=f"lookup {name}", daemon=True).start()
        except RuntimeError as error:  # "can't start new thread"
            self._slots.release()
            raise OSError(errno.EAGAIN, "No thread is left to look up names") from error
        return await found

    def _hand_over(
        self, found: "asyncio.Future[list[Place]]", places: list[Place], error: OSError | None
    ) -> None:
        self._slots.release()
        if found.cancelled():
            return
        if error is None:
            found.set_result(places)
        else:
            found.set_exception(error)


async def connected_socket(
    address: str, port: int, limit_s: float, lookups: Lookups
) -> socket.socket:
    """A connected, non-blocking socket, within `limit_s` seconds; SshFailure otherwise.

    Of a name with several addresses, each gets its share of the time that is left.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    places: list[Place] = []
    try:
        async with asyncio.timeout_at(deadline):
            places = _place_of_ip(address, port) or await lookups.find(address, port)
            for left in range(len(places), 1, -1):
                share_s = (deadline - loop.time()) / left
                try:
                    async with asyncio.timeout(share_s):
                        return await _connected(places[-left])
                except OSError:  # TimeoutError too: the next address may do better
                    continue
            return await _connected(places[-1])
    except OSError as error:
        if isinstance(error, TimeoutError) and not places:
            raise slow_lookup(address, limit_s) from error
        raise no_connection(address, port, limit_s, error) from error


def _place_of_ip(address: str, port: int) -> list[Place]:
    """The one place of an IP address; none where it is a name, or needs the names of interfaces."""
    try:
        version = ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        return []
    if version == 4:
        return [(socket.AF_INET, (address, port))]
    return [] if "%" in address else [(socket.AF_INET6, (address, port, 0, 0))]


async def _connected(place: Place) -> socket.socket:
    family, where = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVES.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
