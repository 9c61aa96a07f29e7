"""Free loopback addresses, safe between test processes that run at the same time."""

import random
import socket
from dataclasses import dataclass

PORT_SSH = 22
# Above what needs root, below what the kernel gives to outgoing connections (32768 and up).
PORTS_FREE = range(10_000, 32_000)
TRIES_MAX = 200
_CHANCE = random.SystemRandom()
"""Each test is given the same seed, and so would all processes try the same places in turn."""


@dataclass
class Place:
    """An address and port that no other fleet on this machine will take while `claim` is open."""

    address: str
    port: int
    claim: socket.socket

    def release(self) -> None:
        """Let others have it."""
        self.claim.close()


def take(address: str | None, port: int | None, may_use_22: bool) -> Place:
    """Claim an address and a port; what is None is chosen at random.

    Raises OSError when what was asked for is taken, or nothing free was found.
    """
    if address is not None and port is not None:
        place = _claim(address, port)
        if place is None:
            raise OSError(f"{address} port {port} is in use")
        return place
    for attempt in range(TRIES_MAX):
        wanted = address or _random_address()
        # 22 is what clients expect; where something holds it on all addresses, another will do.
        use_22 = port is None and may_use_22 and address is None and attempt < TRIES_MAX // 2
        place = _claim(wanted, port or (PORT_SSH if use_22 else _CHANCE.choice(PORTS_FREE)))
        if place is not None:
            return place
    raise OSError(f"no free port found on {address or 'the loopback network'}")


def free_port(address: str) -> int:
    """A port of that address that nothing listens on right now."""
    for _ in range(TRIES_MAX):
        port = _CHANCE.choice(PORTS_FREE)
        if _can_listen(address, port):
            return port
    raise OSError(f"no free port found on {address}")


def _random_address() -> str:
    # 127.0.0.x is where people's own services are.
    return f"127.{_CHANCE.randint(1, 254)}.{_CHANCE.randint(0, 255)}.{_CHANCE.randint(1, 254)}"


def _claim(address: str, port: int) -> Place | None:
    # A name in the abstract namespace is exclusive and goes away with its process.
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0commissaire-fleet/{address}/{port}")
    except OSError:
        claim.close()
        return None
    if not _can_listen(address, port):
        claim.close()
        return None
    return Place(address, port, claim)


def _can_listen(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
