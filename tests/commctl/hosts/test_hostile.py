"""What a hostile host says reaches no terminal: its output, and the reason that quotes it."""

import pytest

from tests.commctl.operator import Operator
from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

SAYS = r"\033[2J\033]0;owned\007\033[31mred\r\233 \342\200\256txt.exe"
LET_GO = "/root/let-go"
HOSTILE_DNF = f"""#!/bin/sh
printf '{SAYS}\\n' >&2
looks=0
while [ ! -e {LET_GO} ] && [ $looks -lt 600 ]; do sleep 0.1; looks=$((looks + 1)); done
printf 'the last {SAYS}\\n' >&2
exit 1
"""
DRAWS = (b"\x1b[2m", b"\x1b[0m", b"\x1b[1m", b"\x1b[31m", b"\x1b[32m", b"\x1b[33m", b"\x1b[36m",
         b"\x1b[J", b"\x1b[m")  # fmt: skip
"""What commctl itself sends to a terminal, beside going up some lines."""


@pytest.fixture
def rolled(service: Service, fleet: Fleet) -> Rolled:
    """A cluster of one host whose package manager says odd things."""
    host = fleet.add("fedora")
    dnf = host.path("/usr/bin/dnf")
    dnf.unlink()
    dnf.write_text(HOSTILE_DNF)
    dnf.chmod(0o755)
    return Rolled(service, [host])


def harmless(written: bytes) -> bool:
    """Whether a terminal was told nothing but what commctl draws."""
    for sequence in DRAWS:
        written = written.replace(sequence, b"")
    text = written.decode()
    # Going up is followed by a number of lines: `\x1b[7F`.
    parts = text.split("\x1b[")[1:]
    return (
        "\u202e" not in text
        and "\x9b" not in text
        and "\x07" not in text
        and all(part.partition("F")[0].isdecimal() for part in parts)
    )


def test_neither_a_watch_nor_output_nor_lists_obey_a_host(
    operator: Operator, rolled: Rolled
) -> None:
    (host,) = rolled.hosts
    with operator.terminal("upgrade", rolled.cluster, "-y") as terminal:
        terminal.see("running 1")
        (begun,) = operator.json("op", "list", "-c", rolled.cluster)
        output = f"/operation/{begun['id']}/hosts/{host.address}/output"
        wait_for(lambda: "owned" in rolled.service.client.get(output).text or None)
        terminal.press("o")
        terminal.see(f"{host.address} says:")
        host.path(LET_GO).touch()
        assert terminal.end() == 4
        assert harmless(terminal.written), terminal.written
    for command in (
        ("op", "output", rolled.cluster, host.address),
        ("op", "output", rolled.cluster, host.address, "-f"),
        ("op", "show", rolled.cluster),
        ("op", "failed", rolled.cluster),
        ("history", "--type", "operation.host_failed"),
        ("op", "show", rolled.cluster, "-o", "json"),
    ):
        with operator.terminal(*command) as terminal:
            assert terminal.end() == 0
            assert harmless(terminal.written), command
            assert "owned" in terminal.screen, command


def test_output_is_followed_to_its_end(operator: Operator, rolled: Rolled) -> None:
    (host,) = rolled.hosts
    name = operator.run("upgrade", rolled.cluster, "-y", "--detach", "-o", "name").stdout.strip()
    path = f"/operation/{name}/hosts/{host.address}/output"
    host.path(LET_GO).touch()
    wait_for(lambda: rolled.service.client.get(path).status_code == 200)
    followed = operator.run("op", "output", name, host.address, "-f").stdout
    assert followed == operator.run("op", "output", name, host.address).stdout
    assert followed.count("owned") >= 2
    tail = operator.run("op", "output", name, host.address, "-f", "--tail", "1").stdout
    assert tail == followed.splitlines(keepends=True)[-1]
