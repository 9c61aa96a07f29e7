"""Ansible, from PyPI, in an environment of its own: what others do the same work with."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.processes import pinned
from tests.fleet import Host

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = PROJECT / ".venv-ansible"
REQUIREMENTS = Path(__file__).parent / "ansible.txt"
PYTHON = Path("/usr/bin/python3")
PARALLEL = 32
INSTALL_TIMEOUT_S = 300.0
RUN_TIMEOUT_S = 300.0
KEY_MODE = 0o600


def installed() -> bool:
    """Make the environment where it is missing; False where it cannot be made."""
    made = ENVIRONMENT / "made"
    if made.exists() and made.read_text() == REQUIREMENTS.read_text():
        return True
    python = str(ENVIRONMENT / "bin/python")
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
        _run([python, "-m", "pip", "--quiet", "--quiet", "install", "--require-hashes",
              "-r", str(REQUIREMENTS)])  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"bench: no comparison with Ansible: {error}", file=sys.stderr)
        return False
    made.write_text(REQUIREMENTS.read_text())
    return True


def give_python(hosts: Sequence[Host]) -> bool:
    """Ansible needs it on every host, where a fleet hides it; False where there is none."""
    if not PYTHON.exists():
        print(f"bench: no comparison with Ansible: there is no {PYTHON}", file=sys.stderr)
        return False
    for host in hosts:
        shutil.copy(PYTHON, host.path(str(PYTHON)))
    return True


def setup(directory: Path, hosts: Sequence[Host], *, pinned_to: int) -> None:
    """`ansible -m setup` on all hosts."""
    run(directory, hosts, "-m", "setup", parallel=PARALLEL, pinned_to=pinned_to)


def run(directory: Path, hosts: Sequence[Host], *task: str, parallel: int, pinned_to: int) -> None:
    """`ansible` on all hosts."""
    said = _run_on(directory, hosts, ["ansible", "all", *task], parallel, pinned_to)
    well = said.count("SUCCESS") + said.count("CHANGED")
    if well != len(hosts):
        raise RuntimeError(f"ansible: {said[-500:]}")


def play(
    directory: Path, hosts: Sequence[Host], playbook: Path, *, parallel: int, pinned_to: int
) -> None:
    """`ansible-playbook` on all hosts."""
    said = _run_on(directory, hosts, ["ansible-playbook", str(playbook)], parallel, pinned_to)
    if said.count("unreachable=0    failed=0") != len(hosts):
        raise RuntimeError(f"ansible-playbook: {said[-500:]}")


def _run_on(
    directory: Path, hosts: Sequence[Host], command: list[str], parallel: int, pinned_to: int
) -> str:
    """What a command of Ansible's says, which is run in the way that costs Ansible least.

    Pipelining saves it two connections per host; a master connection would go on in the
    background, where nobody could count its CPU.
    """
    directory.mkdir(exist_ok=True)
    inventory = directory / "inventory"
    inventory.write_text("".join(_line(directory, host) for host in hosts))
    environment = os.environ | {
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none",
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_HOME": str(directory),
        "ANSIBLE_PYTHON_INTERPRETER": str(PYTHON),
    }
    program, *arguments = command
    line = [str(ENVIRONMENT / "bin" / program), *arguments]
    done = subprocess.run(
        pinned(pinned_to, [*line, "-i", str(inventory), "--forks", str(parallel)]),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout


def _line(directory: Path, host: Host) -> str:
    key = directory / f"{host.address}.key"
    key.touch(KEY_MODE)
    key.write_bytes(host.private_key)
    options = "-o UserKnownHostsFile=/dev/null"
    return (
        f"{host.address} ansible_port={host.port} ansible_user={host.user}"
        f" ansible_ssh_private_key_file={key} ansible_ssh_common_args='{options}'\n"
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_S, stdin=subprocess.DEVNULL)
