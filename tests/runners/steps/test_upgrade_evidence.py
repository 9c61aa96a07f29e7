"""What an upgrade leaves as evidence: packages and trees before and after, and what was skipped."""

import pytest

from runners.steps.system_commands import (
    packages,
    sentences,
)
from tests.fleet import Fleet
from tests.runners.steps.upgrading import digest, fleet, plays, upgrade

__all__ = ["fleet"]


async def test_what_dnf_skipped_is_told(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    said = (
        "Skipping packages with broken dependencies:\n"
        " kernel-core  x86_64  6.9  updates  1 M\n kernel  x86_64  6.9  updates  1 k\n"
        "\nTransaction Summary\n"
    )
    plays(host, "dnf", f"echo '{said}'")
    report = await upgrade(host, "fedora")
    assert report.exit_status == 0
    assert sentences(report.output) == "Skipped: kernel-core kernel."


@pytest.mark.parametrize(("system", "tool"), [("fedora", "dnf"), ("centos", "yum")])
async def test_packages_of_rpm_before_and_after_are_evidence(
    fleet: Fleet, system: str, tool: str
) -> None:
    host = fleet.add(system)
    plays(host, "rpm", "cat /root/installed")
    installed = host.path("/root/installed")
    installed.write_text("b.noarch (none):1-1\na.x86_64 (none):1-1\n")
    plays(host, tool, "echo 'a.x86_64 (none):2-1' >/root/installed; exit 3")
    report = await upgrade(host, system, "7" if system == "centos" else "")
    assert report.exit_status == 3
    assert packages(report.output) == {
        "packages_before": digest("a.x86_64 (none):1-1\nb.noarch (none):1-1\n"),
        "packages_after": digest("a.x86_64 (none):2-1\n"),
        "packages_changed": 2,
    }


async def test_trees_before_and_after_are_evidence(fleet: Fleet) -> None:
    host = fleet.add("atomic")
    found = packages((await upgrade(host, "atomic")).output)
    assert found["packages_changed"] == 1
    assert found["packages_before"] != found["packages_after"]


async def test_a_host_without_a_list_of_packages_has_no_such_evidence(fleet: Fleet) -> None:
    report = await upgrade(fleet.add("fedora"), "fedora")
    assert report.exit_status == 0
    assert packages(report.output) == {}
