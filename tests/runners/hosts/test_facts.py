"""What hosts say of themselves, and what is believed."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from runners.hosts.facts import SCRIPT, Facts, gather, parse, sudo_failure
from runners.ssh.command import Output, command_line
from runners.ssh.failure import SshFailure

NONCE = "6e6f6e6365"
GOOD = {
    "release.ID": '"fedora"',
    "release.VERSION_ID": "40",
    "space": "/dev/vda1  41152812 23375200  15654768      60% /",
    "cpus": "4",
    "memory": "8145180",
    "boot_id": "8445f4a8-509e-4ddf-82c2-cf72ac1668df",
    "uid": "0",
    "sudo": "needless",
}


def output(changes: dict[str, str | None]) -> bytes:
    """The script's output of a good host with changes; None leaves a fact out."""
    said = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    lines = "".join(f"{key}={value}\n" for key, value in said.items())
    return f"\n{NONCE} begin\n{lines}{NONCE} end\n".encode()


def facts(**changes: str | None) -> Facts:
    """Facts of a good host with changes; in names, `release_` stands for `release.`."""
    renamed = {key.replace("release_", "release."): value for key, value in changes.items()}
    return parse(output(renamed), NONCE)


def test_facts_have_the_units_of_the_contract() -> None:
    assert facts() == Facts(
        os="fedora",
        os_version="40",
        cpus=4,
        memory=8145180,
        space=41152812,
        boot_id="8445f4a8-509e-4ddf-82c2-cf72ac1668df",
        uid=0,
        sudo="needless",
    )


@pytest.mark.parametrize(
    ("identity", "like", "variant", "ostree", "os"),
    [
        ("fedora", "", "server", False, "fedora"),
        ('"centos"', '"rhel fedora"', "", False, "centos"),
        ('"rhel"', '"fedora"', "", False, "rhel"),
        ("'rocky'", '"rhel centos fedora"', "", False, "rocky"),
        ('"almalinux"', '"rhel centos fedora"', "", False, "almalinux"),
        ("debian", "", "", False, "debian"),
        ("ubuntu", "debian", "", False, "ubuntu"),
        ("Ubuntu", "debian", "", False, "ubuntu"),
        ("linuxmint", '"ubuntu debian"', "", False, "ubuntu"),
        ("raspbian", "debian", "", False, "debian"),
        ("amzn", '"centos rhel fedora"', "", False, "centos"),
        ("ol", "fedora", "", False, "rhel"),
        ("fedora", "", "atomic.host", True, "atomic"),
        ("fedora", "", "silverblue", True, "atomic"),
        ("endless", "debian", "", True, "atomic"),
        ("fedora", "", "coreos", True, "coreos"),
        ('"rhel"', '"fedora"', "coreos", True, "coreos"),
        ('"rhcos"', '"rhel fedora"', "", True, "coreos"),
        ('"scos"', '"rhel fedora"', "coreos", True, "coreos"),
    ],
)
def test_systems_have_the_names_of_the_contract(
    identity: str, like: str, variant: str, ostree: bool, os: str
) -> None:
    found = facts(
        release_ID=identity,
        release_ID_LIKE=like,
        release_VARIANT_ID=variant,
        ostree="yes" if ostree else None,
    )
    assert found.os == os


@pytest.mark.parametrize("version", ["4 0\x1b[31m", '"2.0 (SP8)"', "", "x" * 65, None])
def test_a_version_that_nobody_needs_fails_no_host(version: str | None) -> None:
    assert facts(release_VERSION_ID=version).os_version == ""


@pytest.mark.parametrize(("identity", "like"), [("coreos", ""), ("flatcar", "coreos")])
def test_systems_that_update_themselves_are_refused_in_words(identity: str, like: str) -> None:
    with pytest.raises(SshFailure, match="not supported: it has no package command") as failed:
        facts(release_ID=identity, release_ID_LIKE=like)
    assert failed.value.kind == "facts"
    assert identity in failed.value.sentence


def test_an_unknown_system_is_named_with_those_that_are_known() -> None:
    with pytest.raises(SshFailure) as failed:
        facts(release_ID="opensuse-leap", release_ID_LIKE='"suse opensuse"')
    assert failed.value.kind == "facts"
    assert "opensuse-leap" in failed.value.sentence
    assert "almalinux" in failed.value.sentence


@pytest.mark.parametrize(
    ("fact", "value", "named"),
    [
        ("cpus", None, "cpus"),
        ("cpus", "0", "cpus"),
        ("cpus", "-2", "cpus"),
        ("cpus", "four", "cpus"),
        ("cpus", "99999999", "cpus"),
        ("cpus", "٤", "cpus"),
        ("memory", None, "memory"),
        ("memory", "", "memory"),
        ("memory", "0", "memory"),
        ("memory", "9" * 30, "memory"),
        ("memory", "1e6", "memory"),
        ("space", None, "space"),
        ("space", "df: /: Permission denied", "space"),
        ("space", "none 0 0 0 - /", "space"),
        ("boot_id", None, "boot id"),
        ("boot_id", "8445F4A8", "boot id"),
        ("uid", "root", "uid"),
        ("sudo", None, "sudo"),
        ("sudo", "maybe", "sudo"),
        ("release.ID", None, "os-release"),
        ("release.ID", "flatcar\x1b[31m", "flatcar"),
    ],
)
def test_missing_and_absurd_values_are_failures_that_name_the_fact(
    fact: str, value: str | None, named: str
) -> None:
    with pytest.raises(SshFailure) as failed:
        parse(output({fact: value}), NONCE)
    assert failed.value.kind == "facts"
    assert not failed.value.passing
    assert named in failed.value.sentence
    assert failed.value.sentence.isprintable()
    assert len(failed.value.sentence) < 400


def test_space_is_read_whatever_the_device_is_called() -> None:
    assert facts(space="my disk 1 500 20 480 4% /").space == 500
    assert facts(space="overlay 500 20 480 4% /sysroot").space == 500
    assert facts(space="/dev/sda1 500 520 -20 104% /").space == 500


def test_noise_around_the_facts_does_no_harm() -> None:
    noise = b"x" * 1_000_000 + b"\n" + NONCE.encode() + b"\n\xff\xfe\0"
    assert parse(noise + output({}) + noise, NONCE) == facts()


def test_text_of_a_host_cannot_pass_for_facts_without_the_nonce() -> None:
    forged = output({"cpus": "64"}).replace(NONCE.encode(), b"00")
    assert parse(forged + output({}), NONCE).cpus == 4
    with pytest.raises(SshFailure, match="no facts"):
        parse(forged, NONCE)


@pytest.mark.parametrize(
    ("sudo", "word"),
    [
        ("missing", "not installed"),
        ("password", "NOPASSWD"),
        ("tty", "requiretty"),
        ("refused", "sudoers"),
    ],
)
def test_a_user_who_cannot_become_root_is_told_why(sudo: str, word: str) -> None:
    sentence = sudo_failure(facts(uid="1000", sudo=sudo), "ops")
    assert sentence is not None
    assert word in sentence
    assert "ops" in sentence


@pytest.mark.parametrize("sudo", ["needless", "works"])
def test_root_and_who_can_become_root_are_fine(sudo: str) -> None:
    assert sudo_failure(facts(sudo=sudo), "ops") is None


SHELLS = [
    name
    for name in ("sh", "dash", "bash", "busybox", "zsh", "ksh", "mksh", "tcsh", "bsd-csh", "fish")
    if shutil.which(name)
]


class LocalShell:
    """Runs what sshd would run, here: `shell -c line`, in a home with login scripts of its own."""

    def __init__(self, shell: str, home: Path) -> None:
        self.argv = ["busybox", "sh"] if shell == "busybox" else [shell]
        self.home = home

    async def run(self, script: str) -> Output:
        done = await asyncio.to_thread(
            subprocess.run,
            [*self.argv, "-c", command_line(script)],
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1000"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
        )
        return Output(done.returncode, "", done.stdout, done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
async def test_the_script_runs_under_every_login_shell(shell: str, tmp_path: Path) -> None:
    found = await gather(LocalShell(shell, tmp_path))
    assert 0 < found.cpus < 1000


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_script_arrives_as_it_is_whatever_characters_it_has(
    shell: str, tmp_path: Path
) -> None:
    text = r"""a'b"c\d\n\0101%s%%!!$HOME`id`~*?[x]{y,z};&|<>#^=()@,:/é""" + "\t!"
    script = f"cat <<'END'\n{text * 30}\nEND\nprintf '%s' \"$#\" >&2\nexit 7\n"
    out = await LocalShell(shell, tmp_path).run(script)
    assert out.stdout.decode() == text * 30 + "\n"
    assert out.exit_status == 7


def test_the_script_is_plain_posix_shell(tmp_path: Path) -> None:
    for shell in (["dash", "-n"], ["bash", "--posix", "-n"], ["busybox", "sh", "-n"]):
        subprocess.run(shell, input=SCRIPT.encode(), check=True)
    assert "<<" not in SCRIPT  # a here document needs /tmp


@pytest.mark.parametrize(
    ("running", "installed", "needed"),
    [
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-9-amd64"], False),
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-21-amd64"], True),
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-21-cloud-amd64"], False),
        ("5.14.0-362.8.1.el9_3.x86_64", ["5.14.0-362.8.1.el9_3.x86_64"], False),
        (
            "5.14.0-362.8.1.el9_3.x86_64",
            ["5.14.0-362.8.1.el9_3.x86_64", "5.14.0-427.13.1.el9_4.x86_64"],
            True,
        ),
        ("6.8.5-301.fc40.x86_64", ["6.8.5-301.fc40.x86_64", "6.9.4-200.fc40.x86_64"], True),
        ("6.18.44", [], None),
        ("6.18.44", ["5.10.0-1-amd64"], None),
    ],
)
async def test_a_newer_kernel_of_the_same_flavour_needs_a_reboot(
    tmp_path: Path, running: str, installed: list[str], needed: bool | None
) -> None:
    for kernel in installed:
        (tmp_path / "modules" / kernel).mkdir(parents=True)
        (tmp_path / "modules" / kernel / "vmlinuz").touch()
    (tmp_path / "uname").write_text(f"#!/bin/sh\necho {running}\n")
    (tmp_path / "uname").chmod(0o755)
    here = SCRIPT.replace("/usr/lib/modules", "/nowhere").replace("/boot/", "/nowhere/")
    here = here.replace("/lib/modules", f"{tmp_path}/modules")
    here = here.replace("/run/reboot-required", f"{tmp_path}/required")
    done = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", f"nonce={NONCE}\n{here}"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        timeout=20,
    )
    found = parse(done.stdout, NONCE)
    assert (found.kernel, found.reboot_needed) == (running, needed)
    assert found.booted_at.startswith("20")


def test_hints_that_make_no_sense_fail_no_host() -> None:
    odd = facts(kernel="a b", booted_at="soon", reboot_needed="maybe")
    assert (odd.kernel, odd.booted_at, odd.reboot_needed) == ("", "", None)
    said = facts(kernel="6.1.0", booted_at="1000000000", reboot_needed="yes")
    assert said.booted_at == "2001-09-09T01:46:40.000000"
    assert said.reboot_needed is True
