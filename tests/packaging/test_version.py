"""One version is told everywhere: by the commands, the packages, the API and the documents."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.docs.documents import ROOT
from web.openapi.document import document

NUMBER = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BIN = Path(sys.executable).parent
LIMIT_S = 120


def test_it_is_a_number_and_what_is_installed_here_has_it() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", NUMBER)
    assert version("commissaire") == NUMBER, "make install"


@pytest.mark.parametrize("program", ["commissaire", "commctl"])
def test_the_commands_say_it(program: str) -> None:
    told = subprocess.run(
        [BIN / program, "--version"], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    assert told.stdout == f"{program} {NUMBER}\n"


def test_the_description_of_the_api_has_it() -> None:
    assert document([])["info"]["version"] == NUMBER


def test_the_newest_of_the_changelog_is_it_with_its_day_and_the_documents_know_no_other() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert re.fullmatch(rf"{re.escape(NUMBER)} – \d{{4}}-\d\d-\d\d", released[0])
    assert f"version {NUMBER.rpartition('.')[0]}," in (ROOT / "README.md").read_text()
    assert f"client  {NUMBER}\nserver  {NUMBER}\n" in (ROOT / "docs/commctl.md").read_text()


def test_the_wheel_is_named_by_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LIMIT_S)
    assert [each.name for each in tmp_path.iterdir()] == [f"commissaire-{NUMBER}-py3-none-any.whl"]
