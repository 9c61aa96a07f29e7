"""Upgrades and deploys on real hosts: what is there decides what runs."""

import asyncio

import pytest

from domain.aggregates.rolling_policy import Kind, checked_version
from runners.steps.system_commands import (
    FIRST,
    StepImpossible,
    commands,
    sentences,
)
from tests.fleet import Fleet
from tests.runners.steps.remote_steps import STEPS, start, until
from tests.runners.steps.upgrading import (
    IMAGE,
    LAYERED,
    NO_IMAGE,
    facts,
    fleet,
    has,
    plays,
    plays_bootc,
    ran,
    upgrade,
)
from tests.support.service import wait_for

__all__ = ["fleet"]


@pytest.mark.parametrize("system", ["fedora", "centos", "rhel", "debian", "ubuntu", "atomic"])
async def test_the_upgrade_of_each_system_runs_to_its_end_on_such_a_host(
    fleet: Fleet, system: str
) -> None:
    host = fleet.add(system)
    version = {"fedora": "40", "centos": "7", "rhel": "9.4"}.get(system, "")
    assert (await upgrade(host, system, version)).exit_status == 0
    upgrades = [argv for argv in host.ran if {"upgrade", "update"} & set(argv)]
    if system in ("debian", "ubuntu"):
        assert ["dpkg", "--configure", "-a", "--force-confold"] in host.ran
        assert [argv[-1] for argv in upgrades] == ["update", "upgrade"]
        assert "Dpkg::Options::=--force-confold" in upgrades[1]
    else:
        expected = {"centos": "yum -y update", "atomic": "rpm-ostree upgrade"}
        assert ran(host)[-1:] == [expected.get(system, "dnf -y --refresh upgrade")]


@pytest.mark.parametrize(
    ("os", "version", "tools", "expected"),
    [
        ("rhel", "2018.03", ("yum",), "yum -y update"),  # Amazon Linux 1
        ("centos", "2", ("yum",), "yum -y update"),  # Amazon Linux 2
        ("fedora", "2023", ("dnf", "yum"), "dnf -y --refresh upgrade"),  # Amazon Linux 2023
        ("rhel", "7.5", ("yum",), "yum -y update"),
        ("rhel", "8.9", ("dnf", "yum"), "dnf -y --refresh upgrade"),
        ("rhel", "", ("yum",), "yum -y update"),
        ("centos", "7", ("dnf", "yum"), "yum -y update"),  # dnf from EPEL
        ("centos", "7", ("dnf",), "dnf -y --refresh upgrade"),
        ("debian", "12", ("dnf",), "dnf -y --refresh upgrade"),
    ],
)
async def test_the_package_command_that_is_there_is_run(
    fleet: Fleet, os: str, version: str, tools: tuple[str, ...], expected: str
) -> None:
    host = fleet.add("fedora")
    has(host, *tools)
    assert (await upgrade(host, os, version)).exit_status == 0
    clean = ["yum clean expire-cache"] if expected.startswith("yum") else []
    assert ran(host) == [*clean, expected]


async def test_a_host_without_a_package_command_says_so(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    has(host)
    report = await upgrade(host, "fedora", "5")
    assert report.exit_status == 1
    assert sentences(report.output) == "It has none of dnf, yum and apt-get: not supported."


@pytest.mark.parametrize(
    ("status", "with_rpm_ostree", "expected"),
    [
        (IMAGE, True, "bootc upgrade"),
        (IMAGE, False, "bootc upgrade"),
        (LAYERED, True, "rpm-ostree upgrade"),
        (NO_IMAGE, True, "rpm-ostree upgrade"),
    ],
)
async def test_bootc_upgrades_the_hosts_that_it_owns(
    fleet: Fleet, status: str, with_rpm_ostree: bool, expected: str
) -> None:
    host = fleet.add("atomic")
    plays_bootc(host, status)
    if not with_rpm_ostree:
        host.path("/usr/bin/rpm-ostree").unlink()
    assert (await upgrade(host, "atomic")).exit_status == 0
    assert ran(host) == [expected]


@pytest.mark.parametrize("kind", ["upgrade", "deploy"])
async def test_a_tree_that_no_command_owns_is_not_supported(fleet: Fleet, kind: str) -> None:
    host = fleet.add("atomic")
    host.path("/usr/bin/rpm-ostree").unlink()
    wanted = commands("deploy" if kind == "deploy" else "upgrade", "27.100", facts("atomic"))
    await start(host, *wanted)
    report = await until(host, "ended")
    assert report.exit_status == 1
    assert "not supported" in sentences(report.output)
    assert "rpm-ostree" in sentences(report.output)


async def test_the_command_that_failed_is_named(fleet: Fleet) -> None:
    host = fleet.add("debian")
    host.path("/usr/bin/dpkg").write_text("#!/bin/sh\nexit 2\n")
    report = await upgrade(host, "debian", "12")
    assert report.exit_status == 2
    assert sentences(report.output) == "“dpkg --configure -a” ended with exit status 2."


async def test_a_version_is_one_argument_and_never_text_for_a_shell(fleet: Fleet) -> None:
    host = fleet.add("atomic")
    await start(host, *commands("deploy", checked_version("27.100"), facts("atomic")))
    report = await until(host, "ended")
    assert report.exit_status == 0
    assert ran(host) == ["rpm-ostree deploy 27.100"]
    # Even what the domain never lets through would be one word here.
    wicked = "$(touch /root/wicked); 'x"
    await start(host, *commands("deploy", wicked, facts("atomic")), step_id="wicked")
    await asyncio.to_thread(wait_for, lambda: ["rpm-ostree", "deploy", wicked] in host.ran)
    assert not host.path("/root/wicked").exists()


@pytest.mark.parametrize("os", ["fedora", "debian", "rhel"])
def test_a_deployment_needs_a_host_that_is_booted_from_ostree(os: str) -> None:
    with pytest.raises(StepImpossible, match="OSTree"):
        commands("deploy", "27.100", facts(os))


def test_a_system_that_nobody_told_us_of_gets_nothing() -> None:
    assert "plan9" not in FIRST
    with pytest.raises(StepImpossible, match="plan9"):
        commands("upgrade", "", facts("plan9"))


APT_UNREACHABLE = "W: Some index files failed to download. They have been ignored."
DNF_UNREACHABLE = "Ignoring repositories: updates"


@pytest.mark.parametrize(
    ("system", "tool", "words"),
    [
        ("debian", "apt-get", APT_UNREACHABLE),
        ("debian", "apt-get", "Err:1 http://mirror.example bookworm InRelease"),
        ("fedora", "dnf", DNF_UNREACHABLE),
        ("centos", "yum", "No more mirrors to try."),
        ("fedora", "dnf", ">>> Usable URL not found"),  # dnf5
        ("fedora", "dnf", ">>> Librepo error: Cannot download repomd.xml: All mirrors were tried"),
    ],
)
async def test_exit_status_0_of_what_could_not_look_is_a_failure(
    fleet: Fleet, system: str, tool: str, words: str
) -> None:
    host = fleet.add(system)
    plays(host, tool, f"echo '{words}' >&2")
    report = await upgrade(host, system, "7" if system == "centos" else "")
    assert report.exit_status == 1
    assert words.rstrip(".") in sentences(report.output)


async def test_what_is_kept_back_is_told_of_an_upgrade_that_is_done(fleet: Fleet) -> None:
    host = fleet.add("debian")
    kept = (
        "The following packages have been kept back:\n  linux-image-amd64 one\n"
        "The following upgrades have been deferred due to phasing:\n  two\n0 upgraded."
    )
    plays(host, "apt-get", f'case "$*" in *upgrade) echo "{kept}";; *) echo "Hit:1";; esac')
    report = await upgrade(host, "debian", "12")
    assert report.exit_status == 0
    assert sentences(report.output) == "Kept back: linux-image-amd64 one two."


async def test_dnf_without_a_repository_has_looked_nowhere(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    plays(host, "dnf", 'case "$*" in *repolist) cat /root/repos;; *) echo "Nothing to do.";; esac')
    host.path("/root/repos").touch()
    report = await upgrade(host, "fedora", "43")
    assert report.exit_status == 1
    assert sentences(report.output) == "It has no repositories: nothing could be looked up."
    host.path("/root/repos").write_text("repo id  repo name\nupdates  Updates\n")
    await start(host, *commands("upgrade", "", facts("fedora", "43")), step_id="second-upgrade")
    wait_for(host.path(f"{STEPS}/second-upgrade/status").exists)
    assert host.path(f"{STEPS}/second-upgrade/status").read_text().strip() == "0"


async def test_a_locked_release_is_told(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    plays(host, "dnf", "echo '  A newer release of \"Amazon Linux\" is available.'")
    report = await upgrade(host, "fedora", "2023")
    assert report.exit_status == 0
    assert "locked to its release" in sentences(report.output)


@pytest.mark.parametrize(
    ("system", "tool", "words"),
    [
        ("debian", "dpkg", "dpkg: error: dpkg frontend lock was locked by another process"),
        ("debian", "dpkg", "dpkg: error: dpkg frontend is locked by another process"),  # 1.19
        ("debian", "dpkg", "dpkg: error: dpkg status database is locked by another process"),
        ("centos", "yum", "error: cannot get exclusive lock on /var/lib/rpm/Packages"),
        ("debian", "apt-get", "E: Could not get lock /var/lib/apt/lists/lock."),
        ("atomic", "rpm-ostree", "error: Transaction in progress: upgrade"),
        (
            "fedora",
            "dnf",
            "Failed to obtain rpm transaction lock. Another transaction is in progress.",
        ),
        ("centos", "yum", "error: can't create transaction lock on /var/lib/rpm/.rpm.lock"),
    ],
)
async def test_another_package_manager_is_waited_for(
    fleet: Fleet, system: str, tool: str, words: str
) -> None:
    host = fleet.add(system)
    once = f'[ ! -e /root/o ] || exit 0; : >/root/o; echo "{words}" >&2; exit 2'
    plays(host, tool, f"case $1 in status) exit;; indextargets) echo one; exit;; esac; {once}")
    report = await upgrade(host, system, "40" if system == "fedora" else "7")
    assert report.exit_status == 0
    assert b"Another package manager is at work" in report.output
    assert sentences(report.output) == ""


@pytest.mark.parametrize(
    ("system", "tool", "words"),
    [
        ("debian", "apt-get", "E: Could not get lock /x - open (28: No space left on device)"),
        ("centos", "yum", "error: can't create transaction lock on /x (Read-only file system)"),
    ],
)
async def test_a_lock_that_cannot_be_made_is_nobodys_and_not_waited_for(
    fleet: Fleet, system: str, tool: str, words: str
) -> None:
    host = fleet.add(system)
    plays(host, tool, f'case $1 in status) exit;; esac; echo "{words}" >&2; exit 2')
    report = await upgrade(host, system, "7")
    assert report.exit_status == 2
    assert b"commissaire-waits" not in report.output
    assert words in sentences(report.output)


@pytest.mark.parametrize("kind", ["upgrade", "deploy"])
async def test_a_driver_of_updates_is_named_and_not_bypassed(fleet: Fleet, kind: Kind) -> None:
    host = fleet.add("atomic")
    refusal = "error: Updates and deployments are driven by Zincati (zincati.service)"
    plays(host, "rpm-ostree", f"echo \"$*\" >>/root/o; echo '{refusal}' >&2; exit 1")
    await start(host, *commands(kind, "27.100", facts("atomic")))
    report = await until(host, "ended")
    assert report.exit_status == 1
    assert "driven by Zincati (zincati.service)" in sentences(report.output)
    assert "bypass" not in host.path("/root/o").read_text()
