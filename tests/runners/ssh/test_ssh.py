"""Sessions on real hosts: who they are, what runs there, what is left afterwards."""

import asyncio

import pytest

from runners.hosts.facts import gather, sudo_failure
from runners.ssh.client import Ssh
from tests.fleet import Fleet
from tests.runners.ssh.fleet_login import ROOT_ONLY, fleet, run, ssh, target

__all__ = ["fleet", "ssh"]


SYSTEMS = {
    "fedora": "fedora",
    "centos": "centos",
    "rhel": "rhel",
    "rocky": "rocky",
    "almalinux": "almalinux",
    "debian": "debian",
    "ubuntu": "ubuntu",
    "coreos": "coreos",
    "busybox": "debian",
    "atomic": "atomic",
}


@pytest.mark.parametrize("system", SYSTEMS)
async def test_facts_of_every_system_are_gathered(fleet: Fleet, ssh: Ssh, system: str) -> None:
    host = fleet.add(system)
    async with ssh.connect(target(host)) as session:
        facts = await gather(session)
    assert facts.os == SYSTEMS[system]
    assert facts.os_version
    assert facts.boot_id == host.boot_id
    assert facts.space == host.space_kb
    assert facts.cpus >= 1
    assert facts.memory > 1000
    fleet.remove(host)


@ROOT_ONLY
@pytest.mark.parametrize(
    ("how", "sudo"), [("works", "works"), ("password", "password"), ("missing", "missing")]
)
@pytest.mark.parametrize("system", ["ubuntu", "busybox"])
async def test_sudo_is_tried_where_the_user_is_not_root(
    fleet: Fleet, ssh: Ssh, system: str, how: str, sudo: str
) -> None:
    host = fleet.add(system, user="ops")
    host.sudo(how)
    async with ssh.connect(target(host)) as session:
        facts = await gather(session)
    assert facts.uid != 0
    assert facts.sudo == sudo
    assert (sudo_failure(facts, "ops") is None) == (how == "works")
    fleet.remove(host)


async def test_noise_banners_and_a_full_tmp_do_not_spoil_the_facts(fleet: Fleet, ssh: Ssh) -> None:
    host = fleet.add("fedora")
    host.banner("Authorized use only!\n" * 50)
    host.login_noise(1_000_000)
    host.full_tmp()
    async with ssh.connect(target(host)) as session:
        assert (await gather(session)).os == "fedora"
    fleet.remove(host)


LOGIN_SCRIPTS = {
    "eats stdin": "cat >/dev/null; read -r x",
    "leaves a process that holds the output": "sleep 1000 &",
    "prints half a line": "printf %s begin",
    "prints bytes": "head -c 1000 /dev/urandom; head -c 1000 /dev/urandom >&2",
    "changes the language": "export LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8",
    "takes the path away": "export PATH=/nowhere",
}


@pytest.mark.parametrize("script", LOGIN_SCRIPTS.values(), ids=LOGIN_SCRIPTS)
async def test_login_scripts_do_not_spoil_the_facts(fleet: Fleet, ssh: Ssh, script: str) -> None:
    host = fleet.add("debian")
    host.login_noise(1)  # so that we know where its login script is
    home = "/root" if host.user == "root" else f"/home/{host.user}"
    host.path(f"{home}/.bashrc").write_text(script + "\n")
    async with asyncio.timeout(10), ssh.connect(target(host)) as session:
        assert (await gather(session)).os == "debian"
    fleet.remove(host)


LOG_BYTES_MAX = 1024


@pytest.mark.parametrize("system", ["debian", "busybox"])
async def test_a_script_is_in_no_argument_that_an_audit_log_would_keep(
    fleet: Fleet, ssh: Ssh, system: str
) -> None:
    host = fleet.add(system)
    long = "tr '\\0' ' ' </proc/$$/cmdline | wc -c\n" + "# not in a log\n" * 1000
    printed = await run(ssh, target(host), long)
    assert 0 < int(printed) < LOG_BYTES_MAX
    fleet.remove(host)


async def test_a_script_that_a_login_script_took_a_piece_of_is_not_run(
    fleet: Fleet, ssh: Ssh
) -> None:
    host = fleet.add("debian")
    host.login_noise(1)
    host.path("/root/.bashrc").write_text("read -r taken; head -c 9 >/dev/null\n")
    script = 'echo once >>/root/ran; read -r more; echo "<$more>"; cat /root/ran'
    for times in (1, 2):
        assert await run(ssh, target(host), script) == b"<>\n" + b"once\n" * times
    fleet.remove(host)
