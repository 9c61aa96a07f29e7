"""Setting a host up, with a session that is played."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from domain.aggregates.host import Host
from domain.aggregates.host_events import BootstrapStepSent, FactsGathered
from domain.commands.bootstrap import Wanted
from domain.event import TIME_FORMAT
from runners.bootstrapping.bootstrap import AskableSession, Bootstrap
from runners.bootstrapping.step_files import built_in
from runners.hosts.outcomes import HostOutcomes, HostUnusable
from runners.steps.detached_step import State, StepReport

BEGUN = datetime.fromisoformat("2026-01-02T03:04:05")
RUN = "018f3c1e-0000-7000-8000-000000000001"
AHEAD_S = 4 * 3600.0


class Played:
    """A session with a host on which a step runs for a while; a clock that jumps meanwhile."""

    def __init__(self, jump_s: float) -> None:
        self.jump_s = jump_s
        self.asked: list[str] = []

    def now(self) -> str:
        passed_s = self.jump_s if "watch" in self.asked else 0.0
        return (BEGUN + timedelta(seconds=passed_s)).strftime(TIME_FORMAT)

    def _report(self, state: State) -> StepReport:
        status = 0 if state == "ended" else None
        return StepReport(state, status, "boot", "boot", 0, b"", "")

    async def start(self, step_id: str, commands: object) -> StepReport:
        self.asked.append("start")
        return self._report("running")

    async def watch(self, step_id: str, offset: int = 0, wait_s: int = 0) -> StepReport:
        self.asked.append("watch")
        return self._report("ended" if self.asked.count("watch") > 3 else "running")

    async def cancel(self, step_id: str) -> StepReport:
        self.asked.append("cancel")
        return self._report("lost")

    async def clear(self, step_id: str) -> None:
        self.asked.append("clear")

    async def ask(self, script: str) -> None:
        raise HostUnusable("setup", "That is all.", passing=False)

    async def finish_step(self, host: Host, run: str, ending: object) -> None:
        self.asked.append("finished")

    @asynccontextmanager
    async def connect(self, host: Host) -> AsyncIterator[AskableSession]:
        yield cast("AskableSession", self)


@pytest.mark.parametrize("jump_s", [AHEAD_S, -AHEAD_S], ids=["ahead", "back"])
async def test_a_clock_that_jumps_ends_no_step_of_setting_a_host_up(jump_s: float) -> None:
    played = Played(jump_s)
    host = Host("10.0.0.7")
    host.step = BootstrapStepSent("packages", RUN, "default", at=played.now())
    bootstrap = Bootstrap(
        built_in(),
        cast("HostOutcomes", played),
        cast("Any", played.connect),
        now=played.now,
        new_id=lambda: RUN,
    )
    facts = FactsGathered("debian", "12", 1, 1, 1, "boot")
    with pytest.raises(HostUnusable, match="That is all"):
        await bootstrap(host, facts, Wanted("default", "flannel_etcd", {}))
    assert "cancel" not in played.asked
    assert "finished" in played.asked
