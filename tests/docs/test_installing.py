"""What `docs/operating.md` says of installing is done as it is printed there."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from runners.service.prerequisites import EXIT_OTHER_LOG, EXIT_WRONG_SETTING
from tests.docs.documents import OPERATING, ROOT, section, shell
from tests.support.service import Service

LIMIT_S = 60
DATA = "/var/lib/commissaire-service"
BIN = Path(sys.executable).parent
NEEDS_DATA = ("user", "token", "log", "history", "backup")
CHANGED = "another word"


def lines(text: str) -> list[str]:
    """The lines of its blocks of shell."""
    return [line for block in shell(text) for line in block.splitlines()]


@pytest.mark.parametrize("heading", ["## Install", "## Upgrade"])
def test_the_package_is_built_of_what_is_pinned_and_nothing_else_is_downloaded(
    tmp_path: Path, heading: str
) -> None:
    pips = [line for line in lines(section(OPERATING, heading)) if "bin/pip " in line]
    assert pips[0].endswith("install --require-hashes -r requirements.txt")
    pip = f"{sys.executable} -m pip --no-input --disable-pip-version-check"
    build = pips[1].replace("/opt/commissaire/bin/pip", pip)
    subprocess.run(
        ["/bin/sh", "-euc", f"{build} --target {tmp_path}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    assert (tmp_path / "runners/steps/step.sh").exists()
    backend = re.search(r'requires = \["(.+)"\]', (ROOT / "pyproject.toml").read_text())
    assert backend
    pinned = (ROOT / "requirements.txt").read_text()
    assert re.search(rf"^{backend[1]}==\S+ \\\n +--hash=", pinned, re.MULTILINE)


def test_the_unit_is_not_started_again_where_a_start_cannot_help() -> None:
    unit = (ROOT / "docs/examples/commissaire.service").read_text()
    statuses = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert statuses == [f"{EXIT_WRONG_SETTING} {EXIT_OTHER_LOG}"]


def test_every_command_of_the_document_says_where_the_data_is() -> None:
    for document in (OPERATING, OPERATING.with_name("registering.md")):
        told = [line for line in lines(document.read_text()) if line.startswith("commissaire ")]
        assert told
        for line in told:
            assert line.split()[1] in NEEDS_DATA, line
            assert re.search(r" --data /\S", line), line


def test_the_password_of_admin_is_changed_by_the_command_that_is_printed(tmp_path: Path) -> None:
    with Service(tmp_path, named=False) as service:
        (line,) = [one for one in lines(section(OPERATING, "## Install")) if " user add " in one]
        answer_the_prompts(line.replace(DATA, str(service.data)), tmp_path)
        there = httpx.get(f"{service.url}/api/v0/clusters", auth=("admin", CHANGED))
        assert there.status_code == 200
        assert service.client.get("/clusters").status_code == 403


def answer_the_prompts(line: str, elsewhere: Path) -> None:
    """Run it in a terminal, in a directory that has nothing to do with the service."""
    ours, theirs = os.openpty()
    try:
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", "/bin/sh", "-euc", line],
            cwd=elsewhere,
            env={"PATH": f"{BIN}:/usr/bin:/bin"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as command:
            for prompt in (b"Password of admin: ", b"Once more: "):
                read_until(ours, prompt)
                os.write(ours, f"{CHANGED}\n".encode())
            read_until(ours, b"admin may log in as admin.")
            assert command.wait(LIMIT_S) == 0
    finally:
        os.close(ours)
        os.close(theirs)


def read_until(terminal: int, wanted: bytes) -> None:
    """Read what is shown, to the end of what is wanted."""
    os.set_blocking(terminal, False)
    deadline = time.monotonic() + LIMIT_S
    shown = b""
    while wanted not in shown:
        assert time.monotonic() < deadline, shown
        try:
            shown += os.read(terminal, 4096)
        except BlockingIOError:
            time.sleep(0.01)
