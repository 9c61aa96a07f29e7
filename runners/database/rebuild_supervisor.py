"""Makes read models anew that another version had made, beside the service and by itself.

Those that can be read are served as they are until then; the others are refused (`BeingBuilt`).
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from domain.log.engine import Engine, PersistenceError
from projections.rebuilding.live_tables import LiveTables
from runners.scheduling.backoff import Pauses
from runners.settings.reading import VARIABLE_PREFIX
from runners.settings.settings import Settings

LOOK_EVERY_S = 1.0
"""How often to look whether something is to be made anew, after a failover that lost it."""
RETRY_PAUSES = Pauses(5.0, 300.0)
"""Before the next try, where a rebuild failed."""
LINE_BYTES_MAX = 64 * 1024
STOP_TIMEOUT_S = 5.0


class Rebuilding:
    """A runner that mostly has nothing to do: all is made anew soon after a start."""

    def __init__(
        self, settings: Settings, engine: Engine, models: LiveTables, log: Callable[..., None]
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._models = models
        self._log = log

    async def run(self) -> None:
        """Until cancelled: make every read model of this version, unless it meets an event that it
        cannot handle, at the start and whenever a failover has lost that."""
        while True:
            await self._make_all()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _make_all(self) -> None:
        failures = 0
        while names := sorted(self._models.outdated):
            self._log("projection.rebuilding", reasons=dict(self._models.outdated))
            failed = await self._rebuild(names)
            if failed:
                self._log("projection.rebuild_failed", level="error", reason=failed)
                failures += 1
                await asyncio.sleep(RETRY_PAUSES.after(failures))

    async def _rebuild(self, names: Sequence[str]) -> str:
        """One try; gives why it failed, or nothing."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runners.database.rebuild_process", *names),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
            limit=LINE_BYTES_MAX,
        )
        try:
            said = await self._listen(process, names)
            await process.wait()
        except ValueError:  # asyncio's word for it
            said = {"failed": f"It said a line of more than {LINE_BYTES_MAX} bytes."}
        finally:
            if process.returncode is None:
                process.kill()
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
        if "changed" not in said:
            return str(said.get("failed", "The process that rebuilds has ended."))
        try:
            await asyncio.to_thread(self._models.look, self._engine)
        except PersistenceError as away:
            return str(away)
        self._log("projection.rebuilt", changed=said["changed"])
        for name, why in said["halted"].items():
            self._log("projection.stopped", level="error", projection=name, reason=why)
            self._models.give_up(name, why)
        return ""

    async def _listen(
        self, process: asyncio.subprocess.Process, names: Sequence[str]
    ) -> Mapping[str, Any]:
        """Pass on how it goes; gives the last that was said."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        said: Mapping[str, Any] = {}
        async for line in process.stdout:
            try:
                said = orjson.loads(line)
            except ValueError:  # whatever Python says when it breaks
                said = {"failed": line.decode(errors="replace").strip()}
            if "position" in said:
                self._models.report_progress(names, said["position"], said["head"])
        return said

    def _environment(self) -> dict[str, str]:
        """Where the database is, and nothing else of ours; a password has no place in arguments."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(VARIABLE_PREFIX)}
        kept[f"{VARIABLE_PREFIX}DATA"] = str(self._settings.data.absolute())
        if self._settings.database_url is not None:
            kept[f"{VARIABLE_PREFIX}DATABASE"] = self._settings.database_url
        return kept
