"""One host of an operation against a host that is played by hand: late, hostile, or away."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from domain.aggregates.host import Host
from domain.aggregates.operation import OperationRequest
from domain.aggregates.operation_events import StepWaits
from domain.aggregates.rolling_policy import Kind, Options
from domain.commands import operation_commands
from domain.event import TIME_FORMAT, Act
from runners.hosts.outcomes import HostUnusable
from runners.operations.host_driver import HostDriver
from runners.operations.host_step import CANCEL_LIMIT_S, CONTACT_PAUSES
from runners.steps.contact import RebootNeed
from runners.steps.detached_step import OUTPUT_BYTES_MAX, State, StepReport
from runners.steps.system_commands import Commands
from tests.domain.aggregates.test_operations import settle_members
from tests.simulation.log import PlayedLog, PlayedUnit

NAME = "019a8f6e-6c3c-7d3e-9b1a-0f4d0c8c7a55"
A = "10.0.0.1"
LIMIT_S = 60.0
SLOW_REBOOT_S = 600.0
TICKS_MAX = 100
A_DAY = timedelta(days=1)


class ByHand:
    """A host that says what a test lets it say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.state: State = "absent"
        self.output = b""
        self.size: int | None = None
        self.away = False
        self.immortal = False
        self.begun = ""
        self.on_watch: list[tuple[bytes, State]] = []
        """What it says, and how it is, from one look on to the next."""
        self.reborn = False

    def _report(self, offset: int = 0) -> StepReport:
        said = self.output[offset:] if self.size is None else b""
        size = len(self.output) if self.size is None else self.size
        status = 0 if self.state == "ended" else None
        return StepReport(
            self.state, status, self.begun, "boot", size, said, "", reborn=self.reborn
        )

    async def start(self, step_id: str, commands: Commands) -> StepReport:
        self.asked.append("start")
        self.state = "running" if self.on_watch else "ended"
        return self._report()

    async def watch(self, step_id: str, offset: int = 0, wait_s: int = 0) -> StepReport:
        self.asked.append("watch")
        if self.on_watch and offset == len(self.output):
            self.output, self.state = self.on_watch.pop(0)
        return self._report(offset)

    async def cancel(self, step_id: str) -> StepReport:
        self.asked.append("cancel")
        if not self.immortal:
            known: dict[State, State] = {"absent": "cancelled", "running": "lost"}
            self.state = known.get(self.state, self.state)
        return self._report()

    async def clear(self, step_id: str) -> None:
        self.asked.append("clear")

    async def reboot_needed(self) -> RebootNeed:
        return RebootNeed(needed=False)


class Stage:
    """An operation on one host, an upgrade mostly, and the time."""

    def __init__(self, kind: Kind = "upgrade", healthy_for_s: float = 0.0) -> None:
        self.host = ByHand()
        self.now = datetime.fromisoformat("2026-01-02T03:04:05")
        unit = PlayedUnit()
        settle_members(unit, [A])
        self.log = PlayedLog(unit, self._no_crash)
        limit_s = SLOW_REBOOT_S if kind == "restart" else LIMIT_S
        wanted = OperationRequest(
            kind, "web", "", Options(step_timeout_s=limit_s, healthy_for_s=healthy_for_s)
        )
        act = Act("alice", "test", self.at())
        self.log.do(act, lambda unit: operation_commands.start(unit, NAME, wanted))
        self.log.do(act, lambda unit: operation_commands.advance(unit, NAME))
        self.steps = HostDriver(
            self.log, self.log, self._connector, now=self.at, on_defect=self._defect
        )
        self.pauses: list[float] = []

    def at(self) -> str:
        """The time, as events have it."""
        return self.now.strftime(TIME_FORMAT)

    def wait(self, seconds: float) -> None:
        """So much time goes by, for all clocks."""
        self.now += timedelta(seconds=seconds)
        loop = asyncio.get_running_loop()
        later = loop.time() + seconds - time.monotonic()
        loop.time = lambda: time.monotonic() + later  # type: ignore[method-assign]

    async def _no_crash(self) -> None:
        pass

    def _defect(self, address: str, error: Exception) -> None:
        raise error

    @asynccontextmanager
    async def _connector(self, host: Host) -> AsyncIterator[ByHand]:
        if self.host.away:
            raise HostUnusable("unreachable", "It is away.", passing=True)
        yield self.host

    async def tick(self) -> bool:
        """One tick; False once nothing is left to do."""
        again = await self.steps.tick(NAME, A)
        if again is not None:
            self.pauses.append(again.seconds)
        return again is not None

    async def until_over(self) -> str:
        """Ticks to the end; gives the reason of the last event about the host."""
        for _ in range(TICKS_MAX):
            if not await self.tick():
                break
        else:
            raise AssertionError("it does not end")
        events = [entry.event for entry in self.log.entries]
        told = [event for event in events if getattr(event, "address", "") == A]
        return f"{told[-1].TOPIC} {getattr(told[-1], 'reason', '')}"


@pytest.fixture
def stage() -> Stage:
    """An upgrade that has begun, of which nothing was sent."""
    return Stage()


def send(stage: Stage) -> None:
    """The log says that the step was sent."""
    act = Act("runner:rolling", "test", stage.at())
    stage.log.do(act, lambda unit: operation_commands.send_step(unit, NAME, A, "upgrade"))


async def test_a_reboot_that_the_host_knows_of_and_the_log_has_lost_is_done() -> None:
    stage = Stage("restart")
    stage.host.state, stage.host.begun = "lost", "boot-before"
    assert (await stage.until_over()).startswith("operation.host_done")
    evidence = [getattr(entry.event, "evidence", None) for entry in stage.log.entries]
    assert {"boot_id_before": "boot-before", "boot_id_after": "boot"} in evidence


async def test_a_container_is_rebooted_when_its_first_process_is_another() -> None:
    stage = Stage("restart")
    assert await stage.tick()  # requested
    assert await stage.tick()  # and not yet
    stage.host.reborn = True
    assert (await stage.until_over()).startswith("operation.host_done")


async def test_a_step_whose_time_was_over_before_it_began_is_not_begun(stage: Stage) -> None:
    send(stage)  # and then the service was away for a day
    stage.now += A_DAY
    told = await stage.until_over()
    assert "start" not in stage.host.asked
    assert told == "operation.host_failed Its step had not begun within 60 s, and never will."


@pytest.mark.parametrize("jump", [A_DAY, -A_DAY], ids=["ahead", "back"])
async def test_a_clock_that_jumps_ends_no_step_before_its_time(
    stage: Stage, jump: timedelta
) -> None:
    send(stage)
    stage.host.away = True
    assert await stage.tick()
    stage.now += jump
    stage.wait(LIMIT_S - 1)
    assert await stage.tick(), "it has time left"
    stage.wait(2.0)
    told = await stage.until_over()
    assert told == "operation.host_unknown It is away. What became of its step is not known."


async def test_a_host_that_comes_and_goes_does_not_fill_the_log() -> None:
    stage = Stage(healthy_for_s=30.0)
    while stage.log.unit.operations[NAME].hosts[A].step != "health":
        assert await stage.tick()
    for _ in range(20):
        stage.host.away = not stage.host.away
        assert await stage.tick()
    waits = [e.event.reason for e in stage.log.entries if isinstance(e.event, StepWaits)]
    assert waits == ["It is away.", ""]


async def test_of_a_time_in_which_nobody_looked_a_part_counts() -> None:
    stage = Stage("restart")
    assert await stage.tick()  # requested
    stage.host.away = True
    stage.wait(A_DAY.total_seconds())
    assert await stage.tick(), "the network may be behind us"
    stage.host.away, stage.host.reborn = False, True
    assert (await stage.until_over()).startswith("operation.host_done")


async def test_a_step_that_ended_while_the_service_was_away_is_done(stage: Stage) -> None:
    send(stage)
    stage.host.state = "ended"
    stage.now += A_DAY
    assert (await stage.until_over()).startswith("operation.host_done")
    assert "cancel" not in stage.host.asked


async def test_what_a_step_waits_for_is_in_the_log_until_it_goes_on(stage: Stage) -> None:
    send(stage)
    stage.host.state = "running"
    stage.host.output = b"commissaire-waits: Another is at work.\n"
    stage.host.on_watch = [(b"commissaire-waits: Another is at work.\n" * 2, "running")]
    stage.host.on_watch += [(b"commissaire-waits: Another is at work.\n" * 2 + b"done\n", "ended")]
    assert (await stage.until_over()).startswith("operation.host_done")
    waits = [e.event.reason for e in stage.log.entries if isinstance(e.event, StepWaits)]
    assert waits == ["Another is at work.", ""]


async def test_a_step_that_still_runs_after_its_time_is_ended_and_has_failed(stage: Stage) -> None:
    send(stage)
    stage.host.state = "running"
    stage.now += A_DAY
    told = await stage.until_over()
    assert told == "operation.host_failed Its step did not end within 60 s and was stopped."


async def test_a_host_that_is_away_for_days_is_asked_again_and_again(stage: Stage) -> None:
    send(stage)
    stage.host.away = True
    for _ in range(2000):
        assert await stage.tick()
    assert max(stage.pauses) <= CONTACT_PAUSES.longest_s
    stage.host.away = False
    assert (await stage.until_over()).startswith("operation.host_done")


async def test_no_more_output_is_kept_than_the_limit_whatever_a_host_says(stage: Stage) -> None:
    stage.host.output = b"x" * (OUTPUT_BYTES_MAX + 1000)
    assert (await stage.until_over()).startswith("operation.host_done")
    kept = await stage.log.output(NAME, A)
    assert len(kept) == OUTPUT_BYTES_MAX
    evidence = stage.log.unit.operations[NAME].hosts[A].evidence
    assert evidence["output_sha256"] == hashlib.sha256(kept).hexdigest()


async def test_a_host_that_promises_output_and_gives_none_is_not_asked_for_ever(
    stage: Stage,
) -> None:
    stage.host.size = 10**17
    assert (await stage.until_over()).startswith("operation.host_done")
    assert stage.host.asked.count("watch") < TICKS_MAX


async def test_its_output_is_deleted_over_there_once_its_outcome_is_in_the_log(
    stage: Stage,
) -> None:
    await stage.until_over()
    assert stage.host.asked[-1] == "clear"


def cancel(stage: Stage) -> None:
    """Somebody cancels the operation."""
    act = Act("alice", "test", stage.at())
    stage.log.do(act, lambda unit: operation_commands.steer(unit, NAME, "cancelled"))


async def test_a_step_that_cannot_be_asked_after_a_cancellation_is_unknown(stage: Stage) -> None:
    send(stage)
    stage.host.away = True
    cancel(stage)
    assert await stage.tick(), "it is asked again"
    stage.wait(CANCEL_LIMIT_S + 1)
    told = await stage.until_over()
    assert told == "operation.host_unknown It is away. What became of its step is not known."
    assert stage.log.unit.operations[NAME].state == "cancelled"


async def test_a_reboot_that_was_requested_is_waited_for_though_it_was_cancelled() -> None:
    stage = Stage("restart")
    act = Act("runner:rolling", "test", stage.at())
    stage.log.do(act, lambda unit: operation_commands.request_reboot(unit, NAME, A, "before"))
    stage.host.away = True
    cancel(stage)
    stage.wait(CANCEL_LIMIT_S + 1)
    assert await stage.tick(), "large machines take minutes"
    stage.host.away = False
    assert await stage.until_over() == "operation.host_done "
    assert stage.log.unit.operations[NAME].state == "cancelled"


async def test_a_step_that_cannot_be_stopped_is_unknown(stage: Stage) -> None:
    send(stage)
    stage.host.state, stage.host.immortal = "running", True
    cancel(stage)
    assert await stage.tick(), "it is tried again"
    stage.wait(CANCEL_LIMIT_S + 1)
    told = await stage.until_over()
    assert told == "operation.host_unknown Its step could not be stopped."


async def test_a_step_that_is_seen_to_have_stopped_has_failed(stage: Stage) -> None:
    send(stage)
    stage.host.state = "running"
    cancel(stage)
    told = await stage.until_over()
    assert told == "operation.host_failed It was cancelled: its step was stopped."


async def test_nothing_is_sent_once_an_operation_is_cancelled(stage: Stage) -> None:
    cancel(stage)
    told = await stage.until_over()
    assert told == "operation.host_failed It was cancelled before its step 'upgrade'."
    assert stage.host.asked == []
