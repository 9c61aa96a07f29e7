"""A machine that serves may be a host of the fleet: root keeps the steps, the service its data."""

import re
from collections.abc import Iterator

import pytest

from runners.steps import detached_step
from tests.docs.documents import EXAMPLES, OPERATING, section, shell
from tests.fleet import Fleet
from tests.fleet.fixtures import fleet  # noqa: F401 - a fixture
from tests.runners.steps.booted import Booted, booted
from tests.runners.steps.remote_steps import STEPS, over_shell, script, start, until

DATA = "/var/lib/commissaire-service"
UNIT = (EXAMPLES / "commissaire.service").read_text()
EXEC = re.compile("^ExecStart=.*", re.MULTILINE)
WRITES = "ExecStart=/bin/sh -c 'touch kept && exec sleep 1000'"
COUNTED = script("echo once >>/root/ran")


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """With the real systemd, and the user of the document."""
    with booted(tmp_path_factory.mktemp("booted")) as machine:
        yield machine


async def said(machine: Booted, text: str) -> str:
    """What a script prints there; it must succeed."""
    done = await machine.run(f"set -e\n{text}")
    assert done.exit_status == 0, done.stdout + done.stderr
    return done.stdout.decode().strip()


async def serve(machine: Booted, unit: str) -> None:
    """Start the unit with a program that writes into its directory, and nothing else of a boot."""
    text = EXEC.sub(WRITES, unit).replace("[Unit]", "[Unit]\nDefaultDependencies=no")
    text = re.sub("^(Wants|After)=.*\n", "", text, flags=re.MULTILINE)
    await said(
        machine,
        f"cat >/run/systemd/system/commissaire.service <<'END'\n{text}\nEND\n"
        "systemctl daemon-reload; systemctl restart commissaire",
    )


async def add_the_user(machine: Booted) -> None:
    (line,) = re.findall("^useradd .*$", section(OPERATING, "## Install"), re.MULTILINE)
    await said(machine, line)


async def run_step(machine: Booted, step_id: str) -> str:
    """Start it, wait until it is over, and give how often any has run."""
    await detached_step.start(machine, step_id, (COUNTED,))
    ended = f"[ -s {STEPS}/{step_id}/status ]"
    await said(machine, f"for _ in $(seq 200); do ! {ended} || exit 0; sleep 0.1; done; exit 1")
    return await said(machine, "wc -l </root/ran")


async def test_a_start_and_a_restore_leave_the_steps_to_root(machine: Booted) -> None:
    await add_the_user(machine)
    assert await run_step(machine, "first-upgrade") == "1"
    await serve(machine, UNIT)
    await said(machine, f"until [ -e {DATA}/kept ]; do sleep 0.1; done")
    assert await said(machine, f"stat -c '%U %a' {DATA}") == "commissaire 700"
    backup = "/var/backups/commissaire/monday"
    await said(machine, f"systemctl stop commissaire; rm -rf {DATA}/*; mkdir -p {backup}")
    await said(machine, f"touch {backup}/users.json; echo made-up >/root/commissaire-master.key")
    await said(machine, shell(section(OPERATING, "## Restore"))[0])
    assert await said(machine, f"stat -c %U {DATA}/users.json") == "commissaire"
    assert await said(machine, f"stat -c '%U %a' {STEPS}") == "root 700"
    assert await run_step(machine, "first-upgrade") == "1", "its guard is honoured"
    assert await run_step(machine, "second-upgrade") == "2"
    await serve(machine, UNIT)


async def test_data_is_moved_away_from_the_steps_which_are_roots_again(machine: Booted) -> None:
    await add_the_user(machine)
    assert await run_step(machine, "first-upgrade") == "1"
    old = UNIT.replace("commissaire-service", "commissaire")
    await serve(machine, old)
    await said(machine, "until [ -e /var/lib/commissaire/kept ]; do sleep 0.1; done")
    await said(machine, "systemctl stop commissaire; chown -R commissaire: /var/lib/commissaire")
    refused = await machine.run(f"[ -O {STEPS} ]")
    assert refused.exit_status == 1
    (moving,) = shell(section(OPERATING, "### Data in `/var/lib/commissaire`"))
    await said(machine, moving)
    assert await said(machine, f"stat -c %U {DATA}/kept; ls {DATA}") == "commissaire\nkept"
    await serve(machine, UNIT)
    assert await run_step(machine, "first-upgrade") == "1", "its guard is honoured"
    assert await run_step(machine, "second-upgrade") == "2"


@pytest.mark.parametrize("system", ["fedora", "busybox"])
async def test_what_stays_on_a_host_that_is_deleted_is_removed_as_the_document_says(
    fleet: Fleet,  # noqa: F811 - the fixture
    system: str,
) -> None:
    host = fleet.add(system)
    await start(host, ("true",))
    await until(host, "ended")
    host.path("/var/lib/commissaire/bootstrap").mkdir()
    (cleaning,) = shell(section(OPERATING, "## Hosts that are deleted"))
    assert (await over_shell(host, f"set -e\n{cleaning}")).exit_status == 0
    named = "find / -xdev -name '*commissaire*' -not -path '/usr/*' 2>/dev/null"
    assert (await over_shell(host, named)).stdout == b""
