"""The requirements install the same packages everywhere, from whatever index a machine uses."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,-]+\])?==(\S+)", re.MULTILINE)


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "web/console/npm/requirements.txt"]
)
def test_every_package_is_pinned_with_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    code = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    requirements = [line for line in code if not line.startswith(" ")]
    assert requirements
    assert all(PIN.match(line) and line.endswith("\\") for line in requirements)
    assert "://" not in text
    assert "--index-url" not in text


def test_developing_uses_the_versions_that_run() -> None:
    running = dict(PIN.findall((ROOT / "requirements.txt").read_text()))
    developing = dict(PIN.findall((ROOT / "requirements-dev.txt").read_text()))
    assert running.items() <= developing.items()
