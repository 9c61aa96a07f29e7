"""Steps on hosts with full disks, lost writes, hostile words, and processes that hide."""

import os
import time
from collections.abc import Iterator

import pytest

from runners.ssh.client import SshFailure
from runners.ssh.command import Output
from runners.steps import detached_step
from runners.steps.detached_step import CHUNK_BYTES, OUTPUT_DAYS, parse
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import (
    ID,
    STEPS,
    over,
    over_shell,
    script,
    start,
    until,
    until_true,
    watch,
)
from tests.support.service import wait_for

HERE = f"{STEPS}/{ID}"
DAY_S = 24 * 3600
PIDS_MAX = 2000
"""Of a host that is new: process numbers are the host's own."""
STUBBORN = script("trap '' TERM; sleep 1000")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(params=["fedora", "busybox"])
def host(fleet: Fleet, request: pytest.FixtureRequest) -> Host:
    """With GNU's commands, and with busybox's."""
    return fleet.add(request.param)


@pytest.fixture
def fedora(fleet: Fleet) -> Host:
    """Where what the host has instead makes no difference."""
    return fleet.add("fedora")


async def small_disk(host: Host, size: str) -> None:
    """Let the directory of steps be on a disk of its own."""
    places = f"mkdir -p {STEPS}; mount -t tmpfs -o size={size},mode=700 tmpfs /var/lib/commissaire"
    assert (await over_shell(host, f"{places}; mkdir -p {STEPS}")).exit_status == 0


def names(host: Host) -> list[str]:
    """What runs there, without sshd."""
    return [each.name for each in host.processes() if not each.name.startswith("sshd")]


# Disks


async def test_on_a_full_disk_nothing_runs_and_the_disk_is_named(host: Host) -> None:
    await small_disk(host, "16k")
    await over_shell(host, "cat /dev/zero >/var/lib/commissaire/full 2>/dev/null")
    with pytest.raises(SshFailure, match="disk full"):
        await start(host, ("touch", "/root/ran"))
    assert not host.path("/root/ran").exists()
    with pytest.raises(SshFailure, match="disk full") as refused:
        await over(host, lambda session: detached_step.cancel(session, ID))
    assert refused.value.nothing_began, "its commands are not on the host"


async def test_without_room_for_its_outcome_a_step_does_not_begin_until_there_is(
    host: Host,
) -> None:
    await small_disk(host, "8k")  # for the commands and one file more
    count = script("echo ran >>/root/count")
    with pytest.raises(SshFailure, match="disk full") as refused:
        await start(host, count)
    assert refused.value.nothing_began
    await over_shell(host, "cat /dev/zero >/var/lib/commissaire/full 2>/dev/null")
    with pytest.raises(SshFailure, match="disk full") as refused:
        await over(host, lambda session: detached_step.cancel(session, ID))
    assert refused.value.nothing_began, "its commands are not on the host any more"
    assert not host.path("/root/count").exists()
    await over_shell(host, "mount -o remount,size=1m /var/lib/commissaire")
    await start(host, count)
    assert (await until(host, "ended")).exit_status == 0
    assert host.path("/root/count").read_text() == "ran\n"


async def test_how_a_step_ended_is_told_though_it_filled_the_disk(host: Host) -> None:
    await small_disk(host, "64k")
    await start(host, script("cat /dev/zero >/var/lib/commissaire/full; echo said; exit 3"))
    assert (await until(host, "ended", "lost")).exit_status == 3


@pytest.mark.parametrize("left", ["", "\0\0\0\0", "   \n"])
async def test_a_status_that_a_power_cut_took_is_lost_and_no_success(
    fedora: Host, left: str
) -> None:
    await start(fedora, ("true",))
    await until(fedora, "ended")
    fedora.path(f"{HERE}/status").write_text(left)
    report = await watch(fedora)
    assert (report.state, report.exit_status) == ("lost", None)


async def test_that_it_began_is_on_the_disk_before_its_commands_run(fedora: Host) -> None:
    sync = fedora.path("/usr/bin/sync")
    sync.unlink()
    sync.write_text('#!/bin/sh\necho "sync ${*%.*}" >>/root/order\n')
    sync.chmod(0o755)
    await start(fedora, script("echo command >>/root/order"))
    await until(fedora, "ended")
    assert fedora.path("/root/order").read_text().splitlines() == [
        "sync begun ",
        "command",
        "sync status",
    ]


async def test_what_a_crash_left_of_a_claim_is_not_written_over(fedora: Host) -> None:
    await start(fedora, STUBBORN)
    await until(fedora, "running")
    begun = fedora.path(f"{HERE}/begun")
    said = begun.read_text()
    for pid in range(1, PIDS_MAX):
        os.link(begun, f"{begun.parent}/claim.{pid}")
    fedora.reboot()
    assert (await over(fedora, lambda session: detached_step.cancel(session, ID))).state == "lost"
    assert (await start(fedora, ("touch", "/root/ran"))).state == "lost"
    assert begun.read_text() == said


async def test_output_that_nobody_cleared_goes_a_week_later_and_the_guard_stays(host: Host) -> None:
    await start(host, ("echo", "said"))
    await until(host, "ended")
    old = time.time() - (OUTPUT_DAYS + 2) * DAY_S
    os.utime(host.path(f"{HERE}/output"), (old, old))
    assert (await watch(host)).output == b"said\n"
    await start(host, ("true",), step_id="another")
    report = await watch(host)
    assert (report.state, report.exit_status, report.output) == ("ended", 0, b"")


async def test_a_directory_that_is_not_roots_own_is_refused(fedora: Host) -> None:
    fedora.path("/var/lib/commissaire").mkdir()
    fedora.path("/tmp/elsewhere").mkdir()
    fedora.path(STEPS).symlink_to("/tmp/elsewhere")
    with pytest.raises(SshFailure, match="not a directory of root"):
        await start(fedora, ("touch", "/root/ran"))
    assert not fedora.path("/root/ran").exists()


async def test_only_root_reads_what_steps_leave(fedora: Host) -> None:
    fedora.path(STEPS).mkdir(parents=True)
    fedora.path(STEPS).chmod(0o777)
    await start(fedora, ("echo", "a secret"))
    await until(fedora, "ended")
    assert fedora.path(STEPS).stat().st_mode & 0o777 == 0o700
    assert fedora.path(f"{HERE}/output").stat().st_mode & 0o777 == 0o600


# Commands


async def test_commands_run_with_the_umask_of_a_login(host: Host) -> None:
    await start(host, script("umask; touch /root/for-others"))
    assert (await until(host, "ended")).output == b"0022\n"
    assert host.path("/root/for-others").stat().st_mode & 0o777 == 0o644


async def test_login_scripts_that_print_are_no_hindrance(host: Host) -> None:
    host.login_noise(100_000)
    await start(host, ("echo", "said"))
    assert (await until(host, "ended")).output == b"said\n"


async def test_where_sudo_asks_for_a_password_nothing_runs_and_sudo_is_named(fleet: Fleet) -> None:
    host = fleet.add("ubuntu", user="ops")
    host.sudo("password")
    with pytest.raises(SshFailure, match="sudo"):
        await start(host, ("touch", "/root/ran"))
    assert not host.path("/root/ran").exists()


# Cancelling


@pytest.mark.parametrize(
    "hidden",
    [
        "env -i sleep 1000 & wait",
        "env -i setsid sh -c 'sleep 1000' & wait",
        "(env -i sleep 1000 &); sleep 1000",
        "setsid sh -c '(trap \"\" TERM; sleep 1000) & exit' & wait; sleep 1000",
    ],
)
async def test_what_left_its_group_or_its_environment_is_ended_too(host: Host, hidden: str) -> None:
    before = names(host)
    await start(host, script(f"trap '' TERM; {hidden}"))
    await until_true(host, lambda _: "sleep" in names(host))
    report = await over(host, lambda session: detached_step.cancel(session, ID))
    assert report.state == "lost"
    wait_for(lambda: names(host) == before)


async def test_an_sshd_that_the_step_restarted_is_not_ended_with_it(fedora: Host) -> None:
    listener = fedora.path("/run/fleet/listener")
    before = listener.read_text()
    restart = f"kill {before}; while kill -0 {before} 2>/dev/null; do sleep 0.1; done"
    begin = "/usr/sbin/sshd -E /run/fleet/sshd.log -f /etc/ssh/sshd_config"
    await start(fedora, script(f"{restart}; {begin}; sleep 1000".replace("\n", "")))
    wait_for(lambda: listener.exists() and listener.read_text() not in ("", before))
    report = await over(fedora, lambda session: detached_step.cancel(session, ID))
    assert report.state == "lost"
    assert (await watch(fedora)).state == "lost"
    assert "sleep" not in names(fedora)


# Words


def said(**changed: str) -> Output:
    """A host's answer."""
    told = {"state": "running", "status": "", "begun": "ab-1", "boot_id": "ab-1", "size": "0"}
    lines = "".join(f"{key}={value}\n" for key, value in (told | changed).items())
    return Output(0, "", f"noise\nNONCE begin\n{lines}detach=\n\nsaid\nNONCE end\n".encode(), b"")


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "fine"},
        {"state": "ended"},
        {"state": "ended", "status": "1234"},
        {"state": "running", "status": "0"},
        {"size": ""},
        {"size": "9" * 19},
        {"boot_id": ""},
        {"boot_id": "a" * 37},
        {"boot_id": "\0"},
        {"begun": "x y"},
    ],
)
def test_words_that_a_host_could_not_mean_are_not_believed(changed: dict[str, str]) -> None:
    assert parse(said(), "NONCE").state == "running"
    with pytest.raises(SshFailure, match="make no sense"):
        parse(said(**changed), "NONCE")


def test_of_an_answer_no_more_is_taken_than_was_asked_for() -> None:
    flood = said().stdout.replace(b"said", b"x" * (2 * CHUNK_BYTES))
    assert len(parse(Output(0, "", flood, b""), "NONCE").output) == CHUNK_BYTES


# Guards, and whose directory it is


@pytest.mark.parametrize(
    "trap",
    [
        "mkdir -p /tmp/elsewhere; ln -s /tmp/elsewhere /var/lib/commissaire",
        f"mkdir -p /tmp/elsewhere {STEPS}; ln -s /tmp/elsewhere {HERE}",
        f"mkdir -p {STEPS}; mkfifo {HERE}",
        "mkdir -p /var/lib/commissaire; mkfifo /var/lib/commissaire/steps",
        f"mkdir -p {STEPS}; chown 1000 {STEPS}",
    ],
)
async def test_links_fifos_and_what_is_not_roots_is_refused_before_anything_is_made(
    fedora: Host, trap: str
) -> None:
    assert (await over_shell(fedora, trap)).exit_status == 0
    with pytest.raises(SshFailure, match="not a directory of root"):
        await start(fedora, ("touch", "/root/ran"))
    with pytest.raises(SshFailure, match="not a directory of root"):
        await over(fedora, lambda session: detached_step.cancel(session, ID))
    assert not fedora.path("/root/ran").exists()
    assert (await over_shell(fedora, "ls -A /tmp/elsewhere")).stdout == b""


async def test_a_clock_that_jumps_deletes_no_guard_of_a_step_that_may_still_be_sent(
    host: Host,
) -> None:
    await start(host, ("true",))
    await until(host, "ended")
    ancient = "00000001-0000-7000-8000-000000000001-upgrade"
    await start(host, ("true",), step_id=ancient)
    wait_for(host.path(f"{STEPS}/{ancient}/status").exists)
    years_ago = time.time() - 3000 * DAY_S  # as the host's clock has it, once it has jumped
    for name in (ID, ancient):
        os.utime(host.path(f"{STEPS}/{name}"), (years_ago, years_ago))
    later = ID.replace("018f3c1e", "018f3c2e")  # as the service's clock has it: minutes later
    await start(host, ("true",), step_id=later)
    assert host.path(f"{STEPS}/{ID}/begun").exists()
    assert not host.path(f"{STEPS}/{ancient}").exists()
