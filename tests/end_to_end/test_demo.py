"""`make demo` is what a newcomer sees first: it shows what it promises, and wants little."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

TIMEOUT_S = 400.0
ASKING_S = 60.0
HIDE = 'while read -r file; do mount --bind /dev/null "$file"; done <"$1"; shift; exec "$@"'


def wanted(file: str) -> set[str]:
    """The Debian packages of a list."""
    lines = (ROOT / file).read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def pinned(file: str) -> set[str]:
    """The packages of Python in a file of requirements."""
    return set(re.findall(r"^([a-z0-9-]+)[\[=]", (ROOT / file).read_text(), re.MULTILINE))


def without_what_only_developers_have(directory: Path) -> dict[str, str]:
    """An environment in which no program of Python imports what `make serve` does not install."""
    dev = pinned("requirements-dev.txt") - pinned("requirements.txt")
    names = [
        name
        for name, distributions in packages_distributions().items()
        if all(one.lower().replace("_", "-") in dev for one in distributions)
    ]
    assert {"pytest", "hypothesis"} <= set(names)
    names.remove("coverage")  # CI looks on
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n"
    (directory / "sitecustomize.py").write_text(blocked)
    path = os.pathsep.join([str(directory), *sys.path])
    return dict(os.environ) | {"PYTHONPATH": path, "COLUMNS": "200"}


def without_other_packages(directory: Path) -> list[str]:
    """A command before a command, which runs without the programs that only tests need."""
    if os.geteuid() != 0:
        return []
    others = wanted("tests/packages.txt") - wanted("tests/fleet/packages.txt")
    listed = subprocess.run(
        ["dpkg-query", "--listfiles", *sorted(others)],
        check=True,
        capture_output=True,
        text=True,
        timeout=ASKING_S,
    ).stdout.splitlines()
    programs = {
        str(Path(file).resolve())
        for file in listed
        if re.match(r"(/usr)?/s?bin/.", file) and Path(file).is_file()
    }
    hidden = directory / "hidden"
    hidden.write_text("".join(f"{program}\n" for program in sorted(programs)))
    assert len(programs) > len(others)
    return ["unshare", "--mount", "/bin/sh", "-euc", HIDE, "sh", str(hidden)]


def test_the_demonstration_installs_what_it_needs_and_the_readme_says_what() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "demo"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=ASKING_S,
    ).stdout
    assert "--dev" not in told
    assert re.findall(r"\S+/packages\.txt", told) == ["tests/fleet/packages.txt"]
    readme = (ROOT / "README.md").read_text()
    packages = wanted("tests/fleet/packages.txt")
    assert all(f"`{package}`" in readme for package in packages)
    assert packages < wanted("tests/packages.txt")


def test_the_demonstration_imports_nothing_that_only_developers_have(tmp_path: Path) -> None:
    program = "import tests.fleet.demo, sys; assert sys.modules['pytest'] is None"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=without_what_only_developers_have(tmp_path),
        capture_output=True,
        text=True,
        timeout=ASKING_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.proof
def test_the_demonstration_succeeds_and_shows_the_restart_that_outlived_the_service(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [*without_other_packages(tmp_path), sys.executable, "-m", "tests.fleet"],
        env=without_what_only_developers_have(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, killed, after = done.stdout.partition("kill -9")
    assert before.count(" active") >= 5
    assert killed
    assert "goes on" in after
    assert "The restart has finished" in after
    assert "BEGIN" not in done.stdout, "a key is a secret, also here"
