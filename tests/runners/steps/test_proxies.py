"""Proxies of a host's /etc/environment reach its package commands; nothing else of it does."""

from collections.abc import Iterator

import pytest

from runners.bootstrapping.rendered_step import PREPARE
from runners.steps.detached_step import as_root
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import over_shell, script, start, until

ENVIRONMENT = """\
# http_proxy=http://comment.example
http_proxy="http://ops:it*s;$(touch /root/run)@proxy.example:3128"
export https_proxy='http://proxy.example:3129'  # for all
no_proxy=localhost, .corp.example
HTTP_PROXY=http://capitals.example\r
all_proxy=http://first.example
all_proxy=http://last.example
Http_Proxy=http://mixed.example
my_http_proxy=http://mine.example
LD_PRELOAD=/root/evil.so
touch /root/run
ftp_proxy=$(touch /root/run)
"""
WANTED = {
    "http_proxy=http://ops:it*s;$(touch /root/run)@proxy.example:3128",
    "https_proxy=http://proxy.example:3129",
    "no_proxy=localhost, .corp.example",
    "HTTP_PROXY=http://capitals.example",
    "all_proxy=http://last.example",
    "ftp_proxy=$(touch /root/run)",
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(params=[("fedora", "root"), ("debian", "ops"), ("busybox", "root")], ids=str)
def host(fleet: Fleet, request: pytest.FixtureRequest) -> Host:
    """With root, with a user who has sudo, and with busybox's commands."""
    system, user = request.param
    host = fleet.add(system, user=user)
    host.path("/etc/environment").write_text(ENVIRONMENT)
    return host


def _proxies(output: bytes) -> set[str]:
    return {line for line in output.decode().split("\n") if "proxy" in line.lower()}


async def test_commands_of_a_step_get_the_proxies_and_nothing_else(host: Host) -> None:
    await start(host, script("env"))
    report = await until(host, "ended")
    assert report.exit_status == 0
    assert _proxies(report.output) == WANTED
    assert b"LD_PRELOAD" not in report.output
    assert not host.path("/root/run").exists()


async def test_commands_of_bootstrapping_get_the_proxies(host: Host) -> None:
    output = await over_shell(host, as_root(f"{PREPARE}env"))
    assert output.exit_status == 0
    assert _proxies(output.stdout) >= WANTED
    assert not host.path("/root/run").exists()


async def test_a_file_that_is_no_file_or_is_huge_holds_nothing_up(host: Host) -> None:
    file = host.path("/etc/environment")
    file.write_text("http_proxy=http://a.example\nno_proxy=" + "x" * 5000 + "\n" + "y" * 10**6)
    await start(host, script("env"))
    assert _proxies((await until(host, "ended")).output) == {"http_proxy=http://a.example"}
    file.unlink()
    file.symlink_to("/dev/zero")
    output = await over_shell(host, as_root(f"{PREPARE}echo over"))
    assert output.stdout.endswith(b"over\n")
