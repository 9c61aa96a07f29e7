"""The services of our list for Debian, where the real systemd runs: flannel and Docker are played,
enabling, starting, and the order of the two are not."""

from collections.abc import Iterator, Sequence

import pytest

from domain.commands.bootstrap import Wanted
from runners.bootstrapping.rendered_step import (
    ReadyStep,
    needed,
    new_nonce,
    probe,
    ready,
    values_of,
)
from runners.bootstrapping.step_files import built_in
from runners.steps import detached_step
from runners.steps.detached_step import StepReport, as_root
from tests.runners.steps.booted import Booted, booted
from tests.runners.steps.test_steps_under_systemd import until

WANTED = Wanted("blue", "flannel_etcd", {"endpoints": "http://10.0.0.1:2379"})
PLAYED = r"""
mkdir -p /usr/local/bin /run/flannel
cat >/usr/local/bin/flanneld <<'end'
#!/bin/sh
echo "$*" >/run/flanneld.told
mkdir -p /run/flannel
printf 'FLANNEL_SUBNET=10.1.2.1/24\nFLANNEL_MTU=1450\n' >/run/flannel/subnet.env
systemd-notify --ready
exec sleep 1000
end
printf '#!/bin/sh\necho "$*" >/run/dockerd.told\nexec sleep 1000\n' >/usr/sbin/dockerd
chmod 755 /usr/local/bin/flanneld /usr/sbin/dockerd
printf '[Service]\nExecStart=/usr/sbin/dockerd\n[Install]\nWantedBy=multi-user.target\n' \
    >/etc/systemd/system/docker.service
systemctl daemon-reload
"""


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """With packages of flannel and Docker."""
    with booted(tmp_path_factory.mktemp("booted")) as machine:
        yield machine


async def missing(machine: Booted, made: Sequence[ReadyStep]) -> list[str]:
    nonce = new_nonce()
    output = await machine.run(as_root(probe(made, nonce)))
    found = needed(made, output.stdout, nonce)
    assert found is not None, output
    return [step.name for step in found]


async def said(machine: Booted, text: str) -> str:
    return (await machine.run(text)).stdout.decode().strip()


async def test_units_are_written_enabled_and_started_and_a_second_look_finds_nothing_to_do(
    machine: Booted,
) -> None:
    ended = await machine.run(PLAYED)
    assert (ended.exit_status, ended.stderr) == (0, b"")
    made = [ready(step, values_of(WANTED)) for step in built_in()["debian"]]
    assert await missing(machine, made) == ["services"]
    services = made[-1]
    await detached_step.start(machine, "run-1", services.commands("run-1"))
    report: StepReport = await until(machine, "run-1", lambda report: report.state == "ended")
    assert report.exit_status == 0, report.output
    assert [file["path"] for file in services.changed("run-1", report.output)] == [
        file.path for file in services.files
    ]
    assert await said(machine, "cat /run/flanneld.told") == (
        "-etcd-endpoints=http://10.0.0.1:2379 -etcd-prefix=/coreos.com/network"
    )
    assert "--bip=10.1.2.1/24 --mtu=1450" in await said(machine, "cat /run/dockerd.told")
    assert await said(machine, "systemctl is-enabled flanneld docker") == "enabled\nenabled"
    assert await missing(machine, made) == []
    # What is stopped, or not enabled any more, is needed again.
    await machine.run("systemctl disable docker")
    assert await missing(machine, made) == ["services"]
