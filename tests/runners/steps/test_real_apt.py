"""Upgrades by Debian's real apt and dpkg, on hosts with repositories of the tests' own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.steps.detached_step import StepReport
from runners.steps.system_commands import commands, packages, sentences, waits_for
from tests.fleet import Fleet
from tests.runners.steps.remote_steps import start, until, until_true
from tests.runners.steps.upgrading import facts
from tests.support.real_apt import AWAY, RealApt


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def apt(fleet: Fleet, tmp_path: Path) -> RealApt:
    """A host that has "tool" 1, and a repository that has "tool" 2."""
    apt = RealApt(fleet.add("debian"), tmp_path)
    apt.has("tool", "1")
    apt.publish("tool", "2")
    return apt


async def begin(apt: RealApt) -> None:
    """Start the upgrade as an operation does."""
    await start(apt.host, *commands("upgrade", "", facts("debian", "12")))


async def upgrade(apt: RealApt) -> StepReport:
    """The upgrade, to its end."""
    await begin(apt)
    return await until(apt.host, "ended")


async def test_packages_are_upgraded_and_before_and_after_are_evidence(apt: RealApt) -> None:
    apt.has("other", "1")
    report = await upgrade(apt)
    assert report.exit_status == 0, report.output
    assert apt.installed() == {"tool": "2", "other": "1"}
    assert sentences(report.output) == ""
    listed = {
        version: f"other:all 1 install ok installed\ntool:all {version} install ok installed\n"
        for version in ("1", "2")
    }
    digests = {
        version: hashlib.sha256(text.encode()).hexdigest() for version, text in listed.items()
    }
    assert packages(report.output) == {
        "packages_before": digests["1"],
        "packages_after": digests["2"],
        "packages_changed": 1,
    }


async def test_where_nothing_was_to_be_upgraded_the_evidence_says_so(apt: RealApt) -> None:
    apt.host.path("/var/lib/dpkg/status").write_text("")
    apt.has("tool", "2")
    report = await upgrade(apt)
    assert report.exit_status == 0
    found = packages(report.output)
    assert found["packages_changed"] == 0
    assert found["packages_before"] == found["packages_after"]


async def test_lists_that_were_fetched_before_are_fetched_anew(apt: RealApt) -> None:
    assert (await upgrade(apt)).exit_status == 0
    apt.publish("tool", "3")
    await start(
        apt.host, *commands("upgrade", "", facts("debian", "12")), step_id="another-upgrade"
    )
    await until_true(apt.host, lambda _: apt.installed() == {"tool": "3"})


@pytest.mark.parametrize("only", [True, False])
async def test_a_repository_that_is_away_fails_the_upgrade(apt: RealApt, only: bool) -> None:
    apt.sources(AWAY)
    if only:
        apt.host.path("/etc/apt/sources.list").write_text(AWAY)
    report = await upgrade(apt)
    assert report.exit_status not in (0, None)
    assert sentences(report.output).startswith("“apt-get update” ")
    assert "fail" in sentences(report.output).lower()
    assert apt.installed() == {"tool": "1"}, "nothing is upgraded from a part of what there is"
    assert packages(report.output)["packages_changed"] == 0


async def test_without_a_repository_nothing_was_looked_up(apt: RealApt) -> None:
    apt.host.path("/etc/apt/sources.list").write_text("")
    report = await upgrade(apt)
    assert report.exit_status == 1
    assert sentences(report.output) == "It has no repositories: nothing could be looked up."


async def test_a_package_on_hold_is_told(apt: RealApt) -> None:
    apt.has("held", "1", status="hold ok installed")
    apt.publish("held", "2")
    report = await upgrade(apt)
    assert report.exit_status == 0
    assert sentences(report.output) == "Kept back: held."
    assert apt.installed() == {"tool": "2", "held": "1"}


async def test_a_new_dependency_is_installed_and_one_that_cannot_be_is_told(apt: RealApt) -> None:
    apt.has("linux-image", "1")
    apt.publish("linux-image", "2", "Depends: linux-image-2")
    apt.publish("linux-image-2", "2")
    apt.has("stuck", "1")
    apt.publish("stuck", "2", "Depends: nowhere")
    report = await upgrade(apt)
    assert report.exit_status == 0
    assert sentences(report.output) == "Kept back: stuck."
    expected = {"tool": "2", "linux-image": "2", "linux-image-2": "2", "stuck": "1"}
    assert apt.installed() == expected
    assert packages(report.output)["packages_changed"] == 3


@pytest.mark.parametrize(
    ("lock", "command"),
    [
        ("/var/lib/dpkg/lock-frontend", "dpkg --configure -a"),
        ("/var/lib/apt/lists/lock", "apt-get update"),
        ("/var/cache/apt/archives/lock", "apt-get upgrade"),
    ],
)
async def test_a_lock_that_another_holds_is_waited_for_and_told(
    apt: RealApt, lock: str, command: str
) -> None:
    with apt.locked(lock):
        await begin(apt)
        report = await until_true(apt.host, lambda report: waits_for(report.output))
        assert report.state == "running"
        assert f"“{command}” waits for it" in waits_for(report.output)
        assert "lock" in waits_for(report.output)
        assert apt.installed() == {"tool": "1"}
    report = await until(apt.host, "ended")
    assert report.exit_status == 0, report.output
    assert waits_for(report.output) == ""
    assert apt.installed() == {"tool": "2"}


async def test_what_an_interrupted_dpkg_left_is_configured_first(apt: RealApt) -> None:
    apt.has("half", "1", status="install ok unpacked")
    report = await upgrade(apt)
    assert report.exit_status == 0, report.output
    assert apt.installed() == {"tool": "2", "half": "1"}


async def test_a_package_whose_script_fails_is_named(apt: RealApt) -> None:
    apt.publish("tool", "3", postinst="#!/bin/sh\necho 'no such luck' >&2\nexit 7\n")
    report = await upgrade(apt)
    assert report.exit_status == 100
    assert sentences(report.output).startswith("“apt-get upgrade” ended with exit status 100")
    assert packages(report.output)["packages_changed"] == 1, "it is half of the way"
