"""Serves until a signal ends it."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence

import uvloop

from runners.os_support.log_lines import LogFormat, ServiceLog, bridge_logging
from runners.os_support.memory import give_back_large_blocks, keep_what_is_there
from runners.service.composition import service
from runners.service.prerequisites import CannotServe
from runners.settings.settings import Settings

SWITCH_INTERVAL_S = 0.0001
"""How long a thread may keep the interpreter while others wait for it. Python's own 5 ms would make
every request wait that long several times, wherever a thread reads a long body or list."""

EXIT_STOPPED = 0


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit status of the process."""
    give_back_large_blocks()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    by_reader: LogFormat = "text" if sys.stderr.isatty() else "json"
    lines = ServiceLog(sys.stderr.fileno(), settings.log_format or by_reader)
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


async def _serve(settings: Settings, lines: ServiceLog) -> None:
    stopping, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with service(settings, lines) as running:
        keep_what_is_there()
        print(f"Commissaire serves on {running.address}", flush=True)
        lines.write("started", address=running.address, database=settings.database_shown)
        reloading = asyncio.create_task(_reload(hangup, running.reload), name="reload")
        await _until(stopping, (reloading, *running.runners))
        reloading.cancel()
        lines.write("stopping")
        running.announce_stop()
        await asyncio.sleep(settings.stop_announced_s)
    lines.write("stopped")


async def _reload(hangup: asyncio.Event, reload: Callable[[], None]) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        reload()


async def _until(stopping: asyncio.Event, runners: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal, or for a runner that ended: it has a defect, and is not left alone."""
    waiting = asyncio.create_task(stopping.wait(), name="signals")
    running = {waiting, *runners}
    while waiting in running:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            await task  # what has nothing left to do ends quietly
