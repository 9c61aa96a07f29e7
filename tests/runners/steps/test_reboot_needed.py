"""Whether a host needs a reboot: what its kernels, its system and its hints say."""

from collections.abc import Iterator

import pytest

from runners.steps.contact import RebootNeed
from runners.steps.ssh_contact import SshStepSession
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import session_of

UNSURE = "Whether it needs a reboot cannot be told: "


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def plays(host: Host, tool: str, script: str) -> None:
    """Give the host a command that is this script."""
    program = host.path(f"/usr/bin/{tool}")
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def has_kernels(host: Host, runs: str, *installed: str) -> None:
    """The kernel that runs, and those that are installed."""
    plays(host, "uname", f"echo {runs}")
    for kernel in installed:
        host.path(f"/boot/vmlinuz-{kernel}").touch()


async def asked(host: Host) -> RebootNeed:
    """What a step is told of the host."""
    async with session_of(host) as session:
        return await SshStepSession(session).reboot_needed()


@pytest.mark.parametrize(
    ("runs", "installed", "needed"),
    [
        ("6.1.0-18-amd64", ("6.1.0-18-amd64", "6.1.0-9-amd64"), False),
        ("6.1.0-9-amd64", ("6.1.0-18-amd64", "6.1.0-9-amd64"), True),
        ("6.1.0-9-amd64", ("6.1.0-18-amd64",), True),
        ("5.15.0-99-generic", ("5.15.0-100-generic", "5.15.0-99-generic"), True),
        ("6.8.5-301.fc40.x86_64", ("6.8.5-301.fc40.x86_64", "0-rescue-1f"), False),
        ("6.8.5-301.fc40.x86_64", ("6.10.3-200.fc41.x86_64",), True),
        ("6.1.0-rpi7-rpi-2712", ("6.1.0-rpi7-rpi-2712", "6.1.0-rpi7-rpi-v8"), False),
        ("6.1.0-rpi7-rpi-v8", ("6.1.0-rpi8-rpi-2712", "6.1.0-rpi8-rpi-v8"), True),
        ("6.6.20+rpt-rpi-v7", ("6.6.20+rpt-rpi-v7", "6.6.20+rpt-rpi-v8"), False),
        ("6.6.20+rpt-rpi-v7", ("6.6.31+rpt-rpi-v7", "6.6.31+rpt-rpi-v8"), True),
        ("6.5.0-0.deb12.4-amd64", ("6.6.13-0.deb12.5-amd64", "6.5.0-0.deb12.4-amd64"), True),
        ("5.14.0-362.el9.x86_64", ("5.14.0-427.el9_4.x86_64", "0-rescue-af"), True),
    ],
)
async def test_the_kernel_that_runs_is_compared_with_the_newest_installed(
    fleet: Fleet, runs: str, installed: tuple[str, ...], needed: bool
) -> None:
    host = fleet.add("debian")
    has_kernels(host, runs, *installed)
    assert await asked(host) == RebootNeed(needed)


async def test_a_kernel_beside_its_modules_counts_and_modules_without_a_kernel_do_not(
    fleet: Fleet,
) -> None:
    host = fleet.add("debian")
    has_kernels(host, "6.1.0-9-amd64", "6.1.0-9-amd64")
    left_behind = host.path("/usr/lib/modules/6.1.0-18-amd64")
    left_behind.mkdir(parents=True)
    assert await asked(host) == RebootNeed(needed=False)
    (left_behind / "vmlinuz").touch()
    assert await asked(host) == RebootNeed(needed=True)


@pytest.mark.parametrize(
    ("installed", "told"),
    [
        ((), "it runs kernel 6.1.0-9-amd64, and has none in /boot or /lib/modules."),
        (
            ("6.1.0-9-amd64", "6.5.0-1-cloud-amd64"),
            "it runs kernel 6.1.0-9-amd64, and has 6.5.0-1-cloud-amd64 of another flavour.",
        ),
        (("6.5-cloud",), "it runs kernel 6.1.0-9-amd64, and has 6.5-cloud."),
    ],
)
async def test_a_host_that_cannot_tell_says_why(
    fleet: Fleet, installed: tuple[str, ...], told: str
) -> None:
    host = fleet.add("debian")
    has_kernels(host, "6.1.0-9-amd64", *installed)
    assert await asked(host) == RebootNeed(needed=False, unsure=UNSURE + told)


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ("Core libraries have been updated.\nReboot is required to fully utilize these.", True),
        ("No core libraries have been updated.\nReboot should not be necessary.", False),
    ],
)
async def test_the_words_of_dnf_4_and_5_are_known_where_no_kernel_is_there(
    fleet: Fleet, said: str, needed: bool
) -> None:
    host = fleet.add("fedora")
    plays(host, "dnf", f"echo '{said}'; exit 1")
    assert await asked(host) == RebootNeed(needed)


async def test_a_hint_of_debians_counts_whatever_the_kernels_are(fleet: Fleet) -> None:
    host = fleet.add("debian")
    has_kernels(host, "6.1.0-9-amd64", "6.1.0-9-amd64")
    host.path("/run/reboot-required").touch()
    assert await asked(host) == RebootNeed(needed=True)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ('{"status":{"staged":{"image":{}},"booted":{}}}', RebootNeed(needed=True)),
        ('{"status":{"staged":null,"booted":{}}}', RebootNeed(needed=False)),
        (
            "",
            RebootNeed(
                needed=False,
                unsure=f"{UNSURE}neither rpm-ostree nor bootc says what is staged.",
            ),
        ),
    ],
)
async def test_an_image_mode_host_is_asked_what_is_staged(
    fleet: Fleet, status: str, expected: RebootNeed
) -> None:
    host = fleet.add("atomic")
    host.path("/usr/bin/rpm-ostree").unlink()
    plays(host, "bootc", f"echo '{status}'")
    assert await asked(host) == expected


async def test_rpm_ostree_that_says_nothing_is_told(fleet: Fleet) -> None:
    host = fleet.add("atomic")
    plays(host, "rpm-ostree", "exit 1")
    assert (await asked(host)).unsure == f"{UNSURE}rpm-ostree status says nothing."
