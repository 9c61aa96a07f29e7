"""Steps where the real systemd runs: each is a unit of its own, and nothing of it gets away."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runners.steps import detached_step
from runners.steps.detached_step import Command, StepReport
from runners.steps.system_commands import reboot
from tests.runners.steps.booted import Booted, booted
from tests.runners.steps.remote_steps import LIMIT_S, script

STUBBORN = "trap '' TERM; sleep 1000"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """One for all tests of this file, which each take an id of their own."""
    with booted(tmp_path_factory.mktemp("booted")) as machine:
        yield machine


@pytest.fixture
def step_id(request: pytest.FixtureRequest) -> str:
    """Of the test."""
    return re.sub(r"[^a-z]+", "-", request.node.name).strip("-")[:100] + "-upgrade"


async def until(
    machine: Booted, step_id: str, wanted: Callable[[StepReport], object]
) -> StepReport:
    """Watch it until what is told is as wanted."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if wanted(report := await detached_step.watch(machine, step_id)):
            return report
    raise AssertionError(f"not within {LIMIT_S} s")


async def said(machine: Booted, text: str) -> str:
    """What a script prints there."""
    return (await machine.run(text)).stdout.decode().strip()


async def test_a_step_is_a_unit_of_its_own_and_tells_how_it_ended(
    machine: Booted, step_id: str
) -> None:
    where: Command = script("cat /proc/self/cgroup; exit 3")
    begun = await detached_step.start(machine, step_id, (where,))
    assert "Running as unit" in begun.detach
    report = await until(machine, step_id, lambda report: report.state == "ended")
    assert report.exit_status == 3
    assert f"system.slice/commissaire-{step_id}.service".encode() in report.output
    assert await said(machine, "systemctl is-system-running") == "running"


async def test_started_twice_at_once_it_runs_once_and_in_its_unit(
    machine: Booted, step_id: str
) -> None:
    count = script(f"cat /proc/self/cgroup >>/tmp/{step_id}; sleep 1")
    for _ in range(3):
        await detached_step.start(machine, step_id, (count,))
    await until(machine, step_id, lambda report: report.state == "ended")
    ran = await said(machine, f"cat /tmp/{step_id}")
    assert ran.count(f"commissaire-{step_id}.service") == ran.count("0::") == 1


@pytest.mark.parametrize(
    "hidden",
    [
        STUBBORN,
        f"env -i setsid sh -c '(env -i setsid sh -c \"{STUBBORN}\" &)'; sleep 1000",
    ],
    ids=["stubborn", "daemon"],
)
async def test_cancelling_ends_all_of_its_unit_whatever_became_of_it_and_no_unit_is_left(
    machine: Booted, step_id: str, hidden: str
) -> None:
    await detached_step.start(machine, step_id, (script(f"{hidden}; :"),))
    unit = f"commissaire-{step_id}.service"
    in_unit = f"cat /sys/fs/cgroup/system.slice/{unit}/cgroup.procs | xargs ps -o comm= -p"
    deadline = time.monotonic() + LIMIT_S
    while "sleep" not in await said(machine, in_unit):
        assert time.monotonic() < deadline
    sleeping = "pgrep -x sleep | wc -l"
    assert int(await said(machine, sleeping)) > 0
    report = await detached_step.cancel(machine, step_id)
    assert report.state == "lost"
    assert await said(machine, sleeping) == "0"
    assert await said(machine, f"systemctl is-active {unit}") == "inactive"
    assert await said(machine, "systemctl is-system-running") == "running", "no failed unit stays"


async def test_what_stays_of_a_killed_runner_is_found_by_its_unit(
    machine: Booted, step_id: str
) -> None:
    await detached_step.start(machine, step_id, (script("env -i sleep 1000; :"),))
    await until(machine, step_id, lambda report: report.state == "running")
    runner = await said(machine, f"cut -d ' ' -f 1 /var/lib/commissaire/steps/{step_id}/begun")
    await machine.run(f"kill -KILL {runner}")
    # systemd ends what is left of the unit of a main process that is gone.
    report = await until(machine, step_id, lambda report: report.state in ("lost", "orphaned"))
    assert report.exit_status is None
    assert (await detached_step.cancel(machine, step_id)).state == "lost"


async def test_a_daemon_that_a_step_started_outlives_its_unit(
    machine: Booted, step_id: str
) -> None:
    start = script("setsid sleep 4321 >/dev/null 2>&1 </dev/null & echo begun")
    await detached_step.start(machine, step_id, (start,))
    await until(machine, step_id, lambda report: report.state == "ended")
    inactive = f"systemctl is-active commissaire-{step_id}.service"
    deadline = time.monotonic() + LIMIT_S
    while await said(machine, inactive) in ("active", "deactivating"):
        assert time.monotonic() < deadline
    assert await said(machine, "pgrep -fc '[s]leep 4321'") == "1"
    await said(machine, "pkill -f '[s]leep 4321'")


async def test_the_reboot_of_a_container_is_proved_by_its_first_process(
    tmp_path: Path, step_id: str
) -> None:
    with booted(tmp_path) as container:
        before = await detached_step.watch(container, step_id)
        begun = await detached_step.start(container, step_id, reboot(before.boot_id))
        assert (begun.begun_boot_id, begun.reborn) == (before.boot_id, False)
        container.starts_again()
        after = await detached_step.watch(container, step_id)
        assert (after.boot_id, after.reborn) == (before.boot_id, True)
