"""A host of the fleet, and how our client logs in to it."""

import os
from collections.abc import Iterator

import pytest

from runners.security.private_keys import read_private_key
from runners.ssh.client import HostKey, Ssh, Target
from tests.fleet import Fleet, Host

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="a fleet with other users needs root")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def ssh() -> Ssh:
    return Ssh(per_host_interval_s=0)


def target(host: Host, pinned: HostKey | None = None) -> Target:
    key = read_private_key(host.private_key)
    return Target(host.address, host.port, host.user, key, pinned)


async def run(ssh: Ssh, target: Target, script: str) -> bytes:
    async with ssh.connect(target) as session:
        return (await session.run(script)).stdout
