"""Several services on one PostgreSQL, each with a data directory of its own, and one master key."""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.service import Service, wait_for

KEY_BYTES = 32


@contextmanager
def several(
    count: int, directory: Path, urls: Sequence[str], *flags: str, key: bytes = b""
) -> Iterator[list[Service]]:
    """So many services, which all run; the n-th reaches the database by the n-th address."""
    text = b64encode(key or secrets.token_bytes(KEY_BYTES)).decode()
    with ExitStack() as stack:
        services = []
        for number in range(count):
            service = Service(
                directory / str(number), urls[number], *flags, COMMISSAIRE_MASTER_KEY=text
            )
            services.append(stack.enter_context(service))
        yield services


def figure(service: Service, name: str) -> float:
    """One of its figures that has no labels."""
    text = service.client.get(f"{service.url}/metrics").text
    lines = [line.split() for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(lines[0][1])


def held(service: Service) -> int:
    """How many shards a service holds."""
    return int(figure(service, "commissaire_leases_held"))


def until_held(service: Service, *counts: int) -> None:
    """Wait until it holds so many."""
    wait_for(lambda: held(service) in counts)
