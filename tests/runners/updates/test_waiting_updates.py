"""How many updates wait on real hosts, and that asking changes nothing but lists of packages."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.aggregates.host_events import UpdatesFound
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import StepImpossible, sentences, waits_for
from runners.updates.waiting_updates import asking, found
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import STEPS, start, until, until_true
from tests.runners.steps.upgrading import facts, has, plays_bootc
from tests.support.real_apt import AWAY, RealApt
from tests.support.service import wait_for

LOCK = "/var/lib/apt/lists/lock"


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


async def ask(host: Host, os: str, version: str = "") -> StepReport:
    """Ask a host that was taken for such a system, to the end."""
    await start(host, *asking(facts(os, version)))
    return await until(host, "ended")


async def told(host: Host, os: str, version: str = "") -> UpdatesFound | None:
    report = await ask(host, os, version)
    assert report.exit_status == 0, report.output
    return found(report.output)


def move_to_security(apt: RealApt) -> None:
    """What was published so far is a repository of security updates, as Debian labels it."""
    place = apt.host.path("/srv/security")
    apt.host.path("/srv/repository").rename(place)
    apt.host.path("/srv/repository").mkdir()
    apt.host.path("/srv/repository/Packages").write_text("")
    index = (place / "Packages").read_bytes()
    digest = hashlib.sha256(index).hexdigest()
    (place / "Release").write_text(
        "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\n"
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {digest} {len(index)} Packages\n"
    )
    apt.sources("deb [trusted=yes] file:/srv/security ./\n")


async def test_apt_tells_what_an_upgrade_would_install_and_installs_nothing(apt: RealApt) -> None:
    for name in ("held", "stuck", "other"):
        apt.has(name, "1", status="hold ok installed" if name == "held" else "install ok installed")
    apt.publish("held", "2")
    apt.publish("stuck", "2", "Depends: nowhere")
    apt.publish("other", "2", "Depends: new")
    apt.publish("new", "1")
    before = apt.host.path("/var/lib/dpkg/status").read_text()
    assert await told(apt.host, "debian", "12") == UpdatesFound(3, 0), "tool, other and new"
    assert apt.host.path("/var/lib/dpkg/status").read_text() == before
    archives = apt.host.path("/var/cache/apt/archives")
    assert [place.name for place in archives.iterdir() if place.is_file()] in ([], ["lock"])
    assert [argv[0] for argv in apt.host.ran if argv[0] != "systemctl"] == []


async def test_apt_tells_which_of_them_are_for_security(apt: RealApt) -> None:
    move_to_security(apt)
    apt.has("plain", "1")
    apt._index = ""  # the other repository begins anew
    apt.publish("plain", "2")
    assert await told(apt.host, "debian", "12") == UpdatesFound(2, 1)


async def test_none_are_told_as_none(apt: RealApt) -> None:
    apt.host.path("/var/lib/dpkg/status").write_text("")
    assert await told(apt.host, "ubuntu") == UpdatesFound(0, 0)


async def test_a_repository_that_is_away_is_no_answer_and_says_why(apt: RealApt) -> None:
    apt.sources(AWAY)
    report = await ask(apt.host, "debian")
    assert (report.exit_status, found(report.output)) == (1, None)
    assert sentences(report.output).startswith("“apt-get update” ended with exit status 100")


async def test_who_could_not_look_everywhere_tells_no_number(fleet: Fleet, apt: RealApt) -> None:
    apt.host.path("/etc/apt/sources.list").write_text("")
    report = await ask(apt.host, "debian")
    assert (report.exit_status, found(report.output)) == (1, None)
    assert sentences(report.output) == "It has no repositories: nothing could be looked up."
    host = fleet.add("fedora")
    host.path("/usr/bin/dnf").write_text("#!/bin/sh\necho 'Ignoring repositories: updates'\n")
    report = await ask(host, "fedora", "40")
    assert (report.exit_status, found(report.output)) == (1, None)
    assert "“Ignoring repositories: updates”" in sentences(report.output)


async def test_another_package_manager_is_waited_for(apt: RealApt) -> None:
    with apt.locked(LOCK):
        await start(apt.host, *asking(facts("debian")))
        report = await until_true(apt.host, lambda report: waits_for(report.output))
        assert waits_for(report.output).startswith("Another package manager is at work")
    report = await until(apt.host, "ended")
    assert found(report.output) == UpdatesFound(1, 0), report.output


@pytest.mark.parametrize(
    ("system", "version", "tools", "expected"),
    [
        ("fedora", "40", ["dnf"], UpdatesFound(1, 1)),
        ("centos", "7", [], UpdatesFound(1, None)),
        ("rhel", "7", ["yum"], UpdatesFound(1, 1)),
    ],
)
async def test_dnf_and_yum_tell_how_many(
    fleet: Fleet, system: str, version: str, tools: list[str], expected: UpdatesFound
) -> None:
    host = fleet.add("centos" if system == "centos" else "fedora")
    if tools:
        has(host, *tools)
    assert await told(host, system, version) == expected
    verbs = {argv[-1] for argv in host.ran if argv[0] in ("dnf", "yum")}
    assert verbs <= {"check-update", "expire-cache"}


async def test_what_a_host_has_as_its_name_is_not_run(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    host.path("/etc/os-release").write_text("ID=fedora\ntouch /root/ran; exit 1\n")
    assert await told(host, "fedora", "40") == UpdatesFound(1, 1)
    assert not host.path("/root/ran").exists()
    host.path("/etc/os-release").unlink()
    await start(host, *asking(facts("fedora", "40")), step_id="without-a-name")
    wait_for(host.path(f"{STEPS}/without-a-name/status").exists)
    assert host.path(f"{STEPS}/without-a-name/status").read_text().strip() == "0"


async def test_packages_are_counted_not_lines(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    said = (
        "\nkernel.x86_64   6.9-1  updates\na-package-with-a-long-name.noarch\n      1:2.0-1  new"
        "\nObsoleting Packages\nnew.noarch  2 updates\n    old.noarch 1 @System\n"
    )
    host.path("/usr/bin/dnf").write_text(
        f"#!/bin/sh\ncase \"$*\" in *--security*) exit 1 ;; esac\nprintf '%s' '{said}'\nexit 100\n"
    )
    assert await told(host, "fedora", "40") == UpdatesFound(2, None), "it does not tell of security"


DNF_4 = """
Last metadata expiration check: 0:12:03 ago on Mon 30 Nov 2026 05:00:00 AM UTC.

kernel.x86_64                        6.11.10-200.fc40                updates
openssl-libs.x86_64                  1:3.2.2-3.fc40                  updates
python3-setuptools.noarch            69.0.3-4.fc40                   updates
Obsoleting Packages
new-name.noarch                      2.0-1.fc40                      updates
    old-name.noarch                  1.9-1.fc40                      @fedora
"""
DNF_4_SECURITY = """
openssl-libs.x86_64                  1:3.2.2-3.fc40                  updates
"""
DNF_5 = """Updating and loading repositories:
 Fedora 41 - x86_64 - Updates           100% | 1.2 MiB/s |   9.0 MiB |  00m07s
Repositories loaded.
kernel.x86_64                             6.11.10-300.fc41       updates
vim-minimal.x86_64                        2:9.1.866-1.fc41       updates
"""
DNF_AWAY = """Errors during downloading metadata for repository 'updates':
  - Curl error (6): Couldn't resolve host name for https://mirrors.example/metalink
Error: Failed to download metadata for repo 'updates': Cannot prepare internal mirrorlist
"""
TREE = """Note: --check and --preview may be unreliable.  See https://bugs.example/1405
AvailableUpdate:
        Version: 40.20261129.0 (2026-11-29T02:00:00Z)
         Commit: 0c1f5a0ad1f8a1b7e0f7a4bb0f2b7f2f9d6e5d2a
   GPGSignature: Valid signature by 115DF9AEF857853EE8445D0A0727707EA15B79CC
"""
SECURE_TREE = (
    TREE
    + """  SecAdvisories: 1 moderate, 2 important
           Diff: 41 upgraded, 2 added
"""
)
TREE_AWAY = "error: While pulling fedora/40/x86_64: Server returned HTTP 503\n"


def says(host: Host, tool: str, *answers: tuple[str, str, int]) -> None:
    """A program of a host that prints and ends as the real one does, by its arguments."""
    cases = "\n".join(
        f"*'{argument}'*) cat <<'END'\n{text}END\nexit {status} ;;"
        for argument, text, status in answers
    )
    program = host.path(f"/usr/bin/{tool}")
    program.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\nesac\n')
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("every", "security", "expected"),
    [
        ((DNF_4, 100), (DNF_4_SECURITY, 100), UpdatesFound(3, 1)),
        ((DNF_4, 100), ("", 0), UpdatesFound(3, 0)),
        ((DNF_5, 100), ("No matching packages to list\n", 0), UpdatesFound(2, 0)),
        (("", 0), ("", 0), UpdatesFound(0, 0)),
        ((DNF_4, 100), (DNF_AWAY, 1), UpdatesFound(3, None)),
        ((DNF_AWAY, 1), ("", 0), None),
    ],
)
async def test_what_dnf_prints_is_understood(
    fleet: Fleet, every: tuple[str, int], security: tuple[str, int], expected: UpdatesFound | None
) -> None:
    host = fleet.add("fedora")
    repositories = ("repolist", "updates  Fedora - Updates\n", 0)
    says(host, "dnf", ("--security", *security), ("check-update", *every), repositories)
    report = await ask(host, "fedora", "40")
    assert found(report.output) == expected, report.output
    if expected is None:
        assert sentences(report.output) == (
            "“dnf check-update” ended with exit status 1: “Error: Failed to download metadata"
            " for repo 'updates': Cannot prepare internal mirrorlist”."
        )


@pytest.mark.parametrize(
    ("printed", "status", "expected"),
    [
        (TREE, 0, UpdatesFound(1, None)),
        (SECURE_TREE, 0, UpdatesFound(1, 1)),
        ("No updates available.\n", 0, UpdatesFound(0, 0)),
        ("No updates available.\n", 77, UpdatesFound(0, 0)),
        (TREE_AWAY, 1, None),
    ],
)
async def test_what_rpm_ostree_prints_is_understood(
    fleet: Fleet, printed: str, status: int, expected: UpdatesFound | None
) -> None:
    host = fleet.add("atomic")
    says(host, "rpm-ostree", ("upgrade --check", printed, status))
    report = await ask(host, "atomic")
    assert found(report.output) == expected, report.output
    if expected is None:
        assert "HTTP 503" in sentences(report.output)


async def test_a_tree_is_one_update(fleet: Fleet) -> None:
    host = fleet.add("atomic")
    assert await told(host, "atomic") == UpdatesFound(1, 1)
    assert not host.path("/run/fleet/staged").exists(), "nothing was staged"


async def test_no_other_tree_is_no_update(fleet: Fleet) -> None:
    host = fleet.add("atomic")
    host.set("newest_tree", "27.93")
    assert await told(host, "coreos") == UpdatesFound(0, 0)


async def test_bootc_tells_whether_there_is_another_image(fleet: Fleet) -> None:
    host = fleet.add("atomic")
    host.path("/usr/bin/rpm-ostree").unlink()
    plays_bootc(host, "")
    program = host.path("/usr/bin/bootc")
    program.write_text(program.read_text() + 'echo "Update available for: docker://x"\n')
    assert await told(host, "atomic") == UpdatesFound(1, None)


def test_a_system_that_nobody_can_upgrade_is_not_asked() -> None:
    with pytest.raises(StepImpossible):
        asking(facts("plan9"))


@pytest.mark.parametrize(
    "output", [b"", b"commissaire-updates: 1\n", b"x commissaire-updates: 1 2\n"]
)
def test_what_is_no_answer_is_none(output: bytes) -> None:
    assert found(output) is None
