"""Steps on real hosts: they run once, outlive whatever asked for them, and are found again."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from runners.leases.ownership import NoLongerOurs
from runners.ssh.client import Session, SshFailure
from runners.ssh.command import Output
from runners.steps import detached_step
from runners.steps.detached_step import OUTPUT_BYTES_MAX, StepReport
from runners.steps.ssh_contact import SshStepSession
from runners.steps.system_commands import (
    REBOOT_NEEDED,
    reboot,
)
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import (
    ID,
    LIMIT_S,
    STEPS,
    over,
    over_shell,
    script,
    session_of,
    start,
    until,
    until_true,
    watch,
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(params=["fedora", "busybox"])
def host(fleet: Fleet, request: pytest.FixtureRequest) -> Host:
    """With GNU's commands, and with busybox's."""
    return fleet.add(request.param)


async def test_a_step_runs_and_tells_how_it_ended_and_what_it_said(host: Host) -> None:
    await start(host, ("echo", 'it\'s "done"; $HOME'), ("sh", "-c", "echo more; exit 3"))
    report = await until(host, "ended")
    assert report.exit_status == 3
    assert report.output == b'it\'s "done"; $HOME\nmore\n'
    assert report.size == len(report.output)
    assert report.begun_boot_id == report.boot_id == host.boot_id


async def test_what_follows_a_command_that_failed_is_not_run(host: Host) -> None:
    await start(host, ("false",), ("touch", "/root/second"))
    assert (await until(host, "ended")).exit_status == 1
    assert not host.path("/root/second").exists()


async def test_however_often_it_is_started_it_runs_once(host: Host) -> None:
    count = script("echo ran >>/root/count; sleep 1")
    reports = await asyncio.gather(*(start(host, count) for _ in range(6)))
    assert {report.state for report in reports} <= {"waiting", "running", "ended"}
    await until(host, "ended")
    assert (await start(host, count)).state == "ended"
    assert host.path("/root/count").read_text() == "ran\n"


async def test_it_goes_on_when_the_connection_is_cut_and_is_found_again(host: Host) -> None:
    await start(host, script("echo begun; sleep 1; echo over"))
    assert (await until(host, "running")).state == "running"
    host.drop_connections()
    report = await until(host, "ended")
    assert (report.exit_status, report.output) == (0, b"begun\nover\n")


async def test_its_output_can_be_read_while_it_runs_and_from_an_offset(host: Host) -> None:
    await start(host, script("echo first; while [ ! -e /root/go ]; do sleep 0.1; done; echo last"))
    report = await until_true(host, lambda report: report.output)
    assert (report.state, report.output) == ("running", b"first\n")
    host.path("/root/go").touch()
    await until(host, "ended")
    assert (await watch(host, offset=len(b"first\n"))).output == b"last\n"


async def test_output_is_kept_up_to_its_limit_and_the_step_does_not_wait_for_the_rest(
    host: Host,
) -> None:
    size = OUTPUT_BYTES_MAX + 500_000
    await start(host, script(f"head -c {size} /dev/zero; echo over >/root/over"))
    report = await until(host, "ended")
    assert (report.exit_status, report.size) == (0, OUTPUT_BYTES_MAX)
    assert len(report.output) == detached_step.CHUNK_BYTES
    assert host.path("/root/over").exists()


async def test_binary_output_is_given_as_it_is(host: Host) -> None:
    await start(host, ("printf", r"\000\377\n\nstate=lost\nnonce end\n"))
    report = await until(host, "ended")
    assert report.output == b"\0\xff\n\nstate=lost\nnonce end\n"


async def test_cancelling_ends_all_of_it_and_proves_it(host: Host) -> None:
    await start(host, script("trap '' TERM; setsid sleep 1000 & sleep 1000"))
    await until(host, "running")
    report = await over(host, lambda session: detached_step.cancel(session, ID))
    assert report.state in ("lost", "ended")
    assert not [process for process in host.processes() if process.name == "sleep"]


async def test_a_step_that_was_cancelled_before_it_began_never_begins(host: Host) -> None:
    assert (
        await over(host, lambda session: detached_step.cancel(session, ID))
    ).state == "cancelled"
    assert (await start(host, ("touch", "/root/ran"))).state == "cancelled"
    assert not host.path("/root/ran").exists()


async def test_a_late_start_after_it_was_cleared_does_not_run_it_again(host: Host) -> None:
    await start(host, script("echo ran >>/root/count"))
    await until(host, "ended")
    cleared = await over(host, lambda session: detached_step.clear(session, ID))
    assert (cleared.state, cleared.exit_status, cleared.output) == ("ended", 0, b"")
    assert (await start(host, script("echo ran >>/root/count"))).exit_status == 0
    assert host.path("/root/count").read_text() == "ran\n"
    assert sorted(path.name for path in host.path(f"{STEPS}/{ID}").iterdir()) == ["begun", "status"]


async def test_a_step_that_a_reboot_ended_is_lost_and_does_not_run_again(host: Host) -> None:
    sleeping = script("echo ran >>/root/count; sleep 1000")
    await start(host, sleeping)
    report = await until(host, "running")
    host.reboot()
    lost = await watch(host)
    assert lost.state == "lost"
    assert lost.begun_boot_id == report.boot_id != lost.boot_id
    assert (await start(host, sleeping)).state == "lost"
    assert host.path("/root/count").read_text() == "ran\n"


async def test_what_is_left_running_without_its_runner_is_told_apart(host: Host) -> None:
    await start(host, ("sleep", "1000"))
    await until(host, "running")
    runner = int(host.path(f"{STEPS}/{ID}/begun").read_text().split()[0])
    await over_shell(host, f"kill -KILL {runner}")
    assert (await until(host, "orphaned", "lost")).state == "orphaned"
    assert (await over(host, lambda session: detached_step.cancel(session, ID))).state == "lost"


async def test_a_daemon_that_a_step_leaves_behind_does_not_keep_it_from_ending(
    host: Host,
) -> None:
    begin = time.monotonic()
    await start(host, script("sleep 1000 & echo over"))
    report = await until(host, "ended")
    assert (report.exit_status, report.output) == (0, b"over\n")
    assert time.monotonic() - begin < LIMIT_S / 2


async def test_one_id_is_not_taken_for_another_that_it_begins(host: Host) -> None:
    await start(host, ("sleep", "1000"), step_id=f"{ID}-2")
    assert (await watch(host)).state == "absent"
    assert (
        await over(host, lambda session: detached_step.cancel(session, ID))
    ).state == "cancelled"
    other = await over(host, lambda session: detached_step.watch(session, f"{ID}-2"))
    assert other.state == "running"


async def test_a_user_with_sudo_runs_steps_as_root(fleet: Fleet) -> None:
    host = fleet.add("ubuntu", user="ops")
    await start(host, ("id", "-u"))
    assert (await until(host, "ended")).output == b"0\n"
    assert host.path(STEPS).stat().st_mode & 0o777 == 0o700


async def test_a_full_disk_is_said_and_nothing_runs(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    host.path("/var/lib/commissaire").write_text("in the way")
    with pytest.raises(SshFailure, match="step"):
        await start(host, ("touch", "/root/ran"))
    assert not host.path("/root/ran").exists()


async def test_where_systemd_runs_a_step_is_a_unit_of_its_own(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    host.path("/run/systemd/system").mkdir(parents=True)
    systemd_run = host.path("/usr/bin/systemd-run")
    systemd_run.write_text(
        "#!/bin/sh\n"
        'echo "$@" >/root/systemd-run\n'
        "while case $1 in -*) true ;; *) false ;; esac; do shift; done\n"
        'setsid "$@" >/dev/null 2>&1 &\n'
    )
    systemd_run.chmod(0o755)
    await start(host, ("echo", "over"))
    assert (await until(host, "ended")).output == b"over\n"
    asked = host.path("/root/systemd-run").read_text()
    assert f"--unit=commissaire-{ID}.service" in asked


@pytest.mark.parametrize("step_id", ["", "../x", "A", "x y", "-x", "x" * 129])
async def test_an_id_that_could_be_a_path_is_refused(fleet: Fleet, step_id: str) -> None:
    class Nowhere:
        async def run(self, script: str) -> Output:
            raise AssertionError("nothing may be sent")

    with pytest.raises(ValueError, match="id of a step"):
        await detached_step.watch(Nowhere(), step_id)


async def test_a_reboot_is_asked_for_once_and_the_boot_id_proves_it(host: Host) -> None:
    before = host.boot_id
    with suppress(SshFailure):  # it may be down before it has answered
        assert (await start(host, *reboot(before))).boot_id == before
    booted = await until_true(host, lambda report: report.boot_id != before)
    after = await start(host, *reboot(before))  # whoever did not see it asks again
    assert after.state in ("lost", "ended")
    assert after.boot_id == booted.boot_id
    assert [argv[0] for argv in host.ran if argv[0] in ("reboot", "systemctl")] in (
        ["systemctl"],
        ["reboot"],
    )


async def test_a_reboot_of_another_boot_is_none(host: Host) -> None:
    await start(host, *reboot("11111111-2222-3333-4444-555555555555"))
    report = await until(host, "ended")
    assert (report.exit_status, report.boot_id) == (0, host.boot_id)
    assert not [argv for argv in host.ran if argv[0] in ("reboot", "systemctl")]


async def test_what_comes_later_than_it_may_is_not_done_by_the_host(host: Host) -> None:
    uptime = (await watch(host)).uptime_s
    assert uptime
    for ask in (detached_step.cancel, detached_step.clear):
        report = await over(host, lambda session, ask=ask: ask(session, ID, uptime))  # type: ignore[misc]
        assert report.late
    say = [("echo", "done")]
    report = await over(host, lambda session: detached_step.start(session, ID, say, uptime))
    assert (report.late, report.state) == (True, "absent")
    report = await over(host, lambda session: detached_step.start(session, ID, say, uptime + 3600))
    assert not report.late
    assert (await until(host, "ended")).output == b"done\n"


async def test_a_contact_that_was_held_up_does_nothing(host: Host) -> None:
    left_s = 60.0
    seen: list[bool] = []

    async def act(session: Session) -> StepReport:
        nonlocal left_s
        contact = SshStepSession(session, lambda: left_s)
        assert not (await contact.start(ID, [("true",)])).late
        left_s = -1.0
        for late in (contact.cancel, contact.clear):
            with pytest.raises(NoLongerOurs):
                await late(ID)
            seen.append(True)
        return await contact.watch(ID)

    await over(host, act)
    assert len(seen) == 2
    assert (await until(host, "ended")).exit_status == 0


@pytest.mark.parametrize("system", ["atomic", "debian", "fedora"])
async def test_whether_a_reboot_is_needed_is_asked_of_the_system(fleet: Fleet, system: str) -> None:
    host = fleet.add(system)
    assert (await over_shell(host, REBOOT_NEEDED)).stdout == b""
    if system == "atomic":
        await start(host, ("rpm-ostree", "upgrade"))
        await until(host, "ended")
    elif system == "fedora":
        host.set("needs_reboot", "yes")
    else:
        host.path("/run/reboot-required").touch()
    assert (await over_shell(host, REBOOT_NEEDED)).stdout == b"yes\n"


async def test_a_host_that_cannot_tell_whether_it_needs_a_reboot_needs_none(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    dnf = host.path("/usr/bin/dnf")
    dnf.write_text('#!/bin/sh\necho "No such command: $1. Please use dnf --help" >&2\nexit 1\n')
    assert (await over_shell(host, REBOOT_NEEDED)).stdout == b""


async def test_a_container_that_rebooted_is_told_by_its_first_process(host: Host) -> None:
    await start(host, ("true",))
    assert not (await until(host, "ended")).reborn
    begun = host.path(f"{STEPS}/{ID}/begun")
    pid, since, boot_id, what, init = begun.read_text().split()
    begun.write_text(f"{pid} {since} {boot_id} {what} {int(init) - 100}\n")
    report = await watch(host)
    assert (report.reborn, report.begun_boot_id) == (True, report.boot_id)
    begun.write_text(f"{pid} {since} {boot_id} {what}\n")  # of an older version of this service
    assert not (await watch(host)).reborn


# Waiting for news


async def test_whoever_waits_for_news_hears_of_output_and_of_the_end_at_once(host: Host) -> None:
    async with session_of(host) as session:
        begun = time.monotonic()
        await detached_step.start(session, ID, (script("echo said; sleep 6; exit 3"),))
        said = await detached_step.watch(session, ID, 0, int(LIMIT_S))
        assert (said.state, said.output) == ("running", b"said\n")
        ended = await detached_step.watch(session, ID, said.size, int(LIMIT_S))
        assert (ended.state, ended.exit_status) == ("ended", 3)
        assert 6 <= time.monotonic() - begun < LIMIT_S


async def test_without_news_a_host_answers_after_the_time_that_it_was_given(host: Host) -> None:
    async with session_of(host) as session:
        await detached_step.start(session, ID, (script("sleep 30"),))
        begun = time.monotonic()
        assert (await detached_step.watch(session, ID, 0, 3)).state == "running"
        assert 3 <= time.monotonic() - begun < LIMIT_S
        await detached_step.cancel(session, ID)
        assert (await detached_step.watch(session, ID, 0, int(LIMIT_S))).state == "lost"
