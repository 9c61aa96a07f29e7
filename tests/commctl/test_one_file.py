"""`make commctl.pyz`: the client as one file, for the Python of a plain system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commctl.one_file import pack
from tests.docs.documents import ROOT
from tests.support.service import Service

LIMIT_S = 300
FILE_BYTES_MAX = 1024 * 1024
SYSTEM = Path("/usr/bin/python3")
NEXT = "3.13"
"""That of Debian 13."""
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def version_of(python: Path) -> str:
    """Such as 3.11; "" where that is no Python."""
    said = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    return said.stdout.strip()


def pythons() -> dict[str, Path]:
    """The Pythons of this machine by version; first the system's, then what pyenv has."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    base = Path(sys.base_prefix) / "bin" / f"python{HERE}"
    found = [SYSTEM, *map(Path, filter(None, [shutil.which(f"python{NEXT}")])), base]
    found += sorted(pyenv.glob("versions/3.*/bin/python3"))
    known: dict[str, Path] = {}
    for python in found:
        if python.exists() and (version := version_of(python)):
            known.setdefault(version, python)
    return known


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The file, and the Pythons that it is for: this one, and that of Debian 13 if it is here."""
    out = tmp_path_factory.mktemp("pyz") / "commctl.pyz"
    for others in ([NEXT], []) if NEXT in pythons() and NEXT != HERE else ([],):
        made = subprocess.run(
            [".ci/pyz"],
            cwd=ROOT,
            env={**os.environ, "PYTHONS": " ".join(others), "OUT": str(out)},
            check=False,
            timeout=LIMIT_S,
        )
        if made.returncode == 0:
            break
    assert out.exists(), "of this Python alone it needs no network"
    return out, {HERE, *others}


def run(python: Path, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """With nothing but the standard library, and nothing in the environment."""
    return subprocess.run(
        ["env", "-i", f"HOME={home}", str(python), "-I", *arguments],
        cwd=home if home.is_dir() else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


@pytest.mark.parametrize("version", [HERE, NEXT])
def test_the_file_runs_with_python_alone(
    tmp_path: Path, built: tuple[Path, set[str]], service: Service, version: str
) -> None:
    out, fits = built
    if version not in fits:
        pytest.skip(f"Python {version} is not here, or its packages are not to be had")
    python = pythons()[version]
    for arguments, printed in (
        (["version", "-o", "name"], ""),
        (["host", "list", "-o", "json"], "[]\n"),
        (["cluster", "create", "web"], "web\tok\t\n"),
    ):
        done = run(python, tmp_path, str(out), "--data", str(service.data), *arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(printed)
    (unpacked,) = (tmp_path / ".cache/commctl").iterdir()
    assert unpacked.stat().st_mode & 0o077 == 0
    assert not (unpacked / "runners").exists()


def test_where_there_is_no_home_it_runs_and_leaves_nothing_behind(
    built: tuple[Path, set[str]],
) -> None:
    left = set(Path("/tmp").iterdir())
    done = run(pythons()[HERE], Path("/proc/1/no-home"), str(built[0]), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    new = {path for path in set(Path("/tmp").iterdir()) - left if path.is_dir()}
    assert not [path for path in new if (path / "commctl" / "main.py").exists()]


def test_what_could_not_be_unpacked_is_not_left_behind(tmp_path: Path) -> None:
    lib, out, home = tmp_path / "lib", tmp_path / "full.pyz", tmp_path / "home"
    lib.mkdir()
    home.mkdir()
    tag = f"cpython-{HERE.replace('.', '')}-{os.uname().machine}-linux-gnu"
    (lib / f"large.{tag}.so").write_bytes(bytes(FILE_BYTES_MAX + 1))
    pack(lib, out)
    limit = ["prlimit", f"--fsize={FILE_BYTES_MAX}", sys.executable, "-I", str(out)]
    environment = {"HOME": str(home), "TMPDIR": str(home)}
    done = subprocess.run(
        [shutil.which(limit[0]) or limit[0], *limit[1:]],
        env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert [path.name for path in home.iterdir()] == [".cache"]
    assert list((home / ".cache/commctl").iterdir()) == []


def test_a_python_that_it_is_not_for_is_told_so(
    tmp_path: Path, built: tuple[Path, set[str]]
) -> None:
    out, fits = built
    others = {version: python for version, python in pythons().items() if version not in fits}
    if not others:
        pytest.skip("there is no other Python")
    for version, python in others.items():
        done = run(python, tmp_path, str(out), "--version")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("commctl: this file is for Python")
        assert f"here is Python {version} on" in line
