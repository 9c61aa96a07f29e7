"""The composition root: every part is made here, given its collaborators, started, and stopped."""

import asyncio
import random
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvloop
from eventsourcing.persistence import PersistenceError

from domain.event import Recorded
from domain.log.engine import Engine
from domain.log.follower import Follower, after
from domain.log.postgres import PostgresEngine
from domain.log.recorder import LogRecorder, head, now
from domain.log.sqlite import SQLiteEngine
from domain.log.writer import Writer
from projections import clusters, hosts
from projections.projection import ReadModels
from projections.reads import Reads, reads
from runners.data_lock import DataDirectoryTaken, DataLock
from runners.fleet_hosts import FleetHosts
from runners.investigator import Investigator, Pauses
from runners.keys import read_private_key
from runners.log_lines import LogLines, bridge_logging
from runners.look import SshLook
from runners.server import Limits as ServerLimits
from runners.server import Server
from runners.settings import Settings
from runners.ssh import Limits as SshLimits
from runners.ssh import Ssh
from runners.users import UsersFile, hash_password
from runners.vault import Vault, WrongMasterKey, master_key

DATA_MODE = 0o700
ADMIN_PASSWORD_BYTES = 18

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2


class CannotServe(Exception):
    """Why the service does not start, in one line, and the exit status for it."""

    def __init__(self, sentence: str, status: int = EXIT_FAILED) -> None:
        super().__init__(sentence)
        self.status = status


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit status of the process."""
    lines = LogLines(sys.stderr.fileno(), settings.log_format)
    bridge_logging(lines)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, lines))
    except CannotServe as error:
        print(f"commissaire: {error}", file=sys.stderr)
        return error.status
    finally:
        lines.close()
    return EXIT_STOPPED


async def _serve(settings: Settings, lines: LogLines) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with service(settings, lines) as running:
        print(f"Commissaire serves on {running.address}", flush=True)
        lines.line("started", address=running.address, database=settings.database_shown)
        await _until(stopping, running.runners)
        lines.line("stopping")
    lines.line("stopped")


async def _until(stopping: asyncio.Event, runners: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal, or for a runner that ended: it has a defect, and is not left alone."""
    waiting = asyncio.create_task(stopping.wait(), name="signals")
    done, _ = await asyncio.wait((waiting, *runners), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        await task


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    address: str
    """The URL that it answers at."""
    runners: tuple[asyncio.Task[None], ...]


@asynccontextmanager
async def service(settings: Settings, lines: LogLines) -> AsyncIterator[Service]:
    """Everything, started in the order of need and stopped in reverse."""
    async with AsyncExitStack() as stack:
        _prepare(settings, stack)
        users = _users(settings, lines)
        vault = _vault(settings, lines)
        engine = _engine(settings, stack)
        read_models = _open_database(engine, vault)
        ...
        yield Service("", ())
