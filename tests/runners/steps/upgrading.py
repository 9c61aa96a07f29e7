"""An upgrade on a host of the fleet, with package commands that a test plays."""

import hashlib
from collections.abc import Iterator

import pytest

from domain.aggregates.host_events import FactsGathered
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import (
    commands,
)
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import start, until

IMAGE = '{"spec":{},"status":{"booted":{"image":{},"incompatible":false},"type":"bootcHost"}}'
LAYERED = IMAGE.replace("false", "true")
NO_IMAGE = '{"spec":{},"status":{"booted":{"image":null},"type":null}}'


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def facts(os: str, version: str = "") -> FactsGathered:
    """What is known of a host of such a system."""
    return FactsGathered(os, version, 1, 1, 1, "boot")


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def has(host: Host, *tools: str) -> None:
    """These and no other package commands are on the host from now on."""
    programs = host.path("/usr/bin")
    played = (programs / "dnf").read_text()
    for tool in ("dnf", "yum"):
        (programs / tool).unlink()
    for tool in tools:
        (programs / tool).write_text(played)
        (programs / tool).chmod(0o755)


def plays_bootc(host: Host, status: str) -> None:
    """Give the host a bootc that tells this status."""
    program = host.path("/usr/bin/bootc")
    program.write_text(
        f"#!/bin/sh\n. /run/fleet/common.sh\n[ \"$1\" != status ] || echo '{status}'\n"
    )
    program.chmod(0o755)


async def upgrade(host: Host, os: str, version: str = "") -> StepReport:
    """An upgrade of a host that was taken for such a system, to its end."""
    await start(host, *commands("upgrade", "", facts(os, version)))
    return await until(host, "ended")


def ran(host: Host) -> list[str]:
    """The package commands that ran there, but for questions."""
    lines = [" ".join(argv) for argv in host.ran]
    return [line for line in lines if " status" not in line]


def plays(host: Host, tool: str, script: str) -> None:
    """Give the host a package command that is this script."""
    program = host.path(f"/usr/bin/{tool}")
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
