"""Steps on a real host, asked for over connections of their own."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from runners.security.private_keys import read_private_key
from runners.ssh.client import Session, Ssh, SshFailure, Target
from runners.ssh.command import Output
from runners.steps import detached_step
from runners.steps.detached_step import Command, StepReport
from tests.fleet import Host

ID = "018f3c1e-0000-7000-8000-000000000001-upgrade"
LIMIT_S = 60.0
POLL_S = 0.05
STEPS = "/var/lib/commissaire/steps"


def session_of(host: Host) -> AbstractAsyncContextManager[Session]:
    """A session over a connection of its own."""
    target = Target(host.address, host.port, host.user, read_private_key(host.private_key))
    return Ssh(per_host_interval_s=0).connect(target)


async def over(host: Host, ask: Callable[[Session], Awaitable[StepReport]]) -> StepReport:
    """Ask over a connection of its own."""
    async with session_of(host) as session:
        return await ask(session)


async def start(host: Host, *commands: Command, step_id: str = ID) -> StepReport:
    return await over(host, lambda session: detached_step.start(session, step_id, commands))


async def watch(host: Host, offset: int = 0) -> StepReport:
    return await over(host, lambda session: detached_step.watch(session, ID, offset))


async def until(host: Host, *states: str) -> StepReport:
    """Watch it until it is in one of these states."""
    return await until_true(host, lambda report: report.state in states)


async def until_true(host: Host, wanted: Callable[[StepReport], object]) -> StepReport:
    """Watch it until what is told is as wanted; a host that is away for a moment is waited for."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            report = await watch(host)
        except SshFailure:
            await asyncio.sleep(POLL_S)
            continue
        if wanted(report):
            return report
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"not within {LIMIT_S} s")


def script(text: str) -> Command:
    return ("/bin/sh", "-c", text)


async def over_shell(host: Host, text: str) -> Output:
    async with session_of(host) as session:
        return await session.run(text)
