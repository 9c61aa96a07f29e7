"""How `make commctl.pyz` puts the client and what it needs into one file; `.ci/pyz` calls this.

Compiled packages have a file for each version of Python, side by side. They cannot be loaded from
an archive, so the file unpacks itself once, into a directory of the user's own.
"""

import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDS = ("typer", "rich", "httpx", "httpx-sse", "pyyaml", "commissaire")
OURS = "commctl"
NAME = re.compile(r"[A-Za-z0-9_.-]+")
NOT_OURS = ("commissaire",)
"""Of the project itself, only its version is taken: the service stays where it is."""
COMPILED = ".so"
TAG = re.compile(r"\.cpython-(\d)(\d+)-(\w+?)-linux-gnu\.so$")
MOMENT = (2026, 1, 1, 0, 0, 0)
"""What files in the archive are dated: the same sources make the same file."""
START = """\
import os
import sys

here = "%d.%d" % sys.version_info[:2], os.uname()[4]
if list(here) not in {fits}:
    fits = " or ".join("Python %s on %s" % tuple(each) for each in {fits})
    sys.exit("commctl: this file is for " + fits + ": here is Python %s on %s" % here)

import atexit
import pathlib
import shutil
import tempfile
import zipfile

archive = sys.argv[0]


def unpacked(directory):
    fresh = pathlib.Path(tempfile.mkdtemp(dir=directory))
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return fresh


try:
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    place = pathlib.Path(home) / "commctl" / "{digest}"
    if not place.is_dir():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = unpacked(place.parent)
        try:
            fresh.rename(place)
        except OSError:  # somebody was quicker
            shutil.rmtree(fresh)
    found = place.stat()
except (OSError, RuntimeError):  # no home, or none to write to: for this once
    place = unpacked(None)
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    found = place.stat()
if found.st_uid != os.geteuid() or found.st_mode & 0o022:
    sys.exit(f"commctl: {{place}} is not yours alone: remove it")
sys.path[0] = str(place)
from commctl.__main__ import main

main()
"""


def needed() -> dict[str, Distribution]:
    """The packages that the client needs, and all that those need."""
    found: dict[str, Distribution] = {}
    waiting = [*NEEDS]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found[name] = distribution(name)
        if name not in NOT_OURS:
            waiting += _required(found[name])
    return found


def _required(package: Distribution) -> Iterator[str]:
    for line in package.requires or ():
        requirement, _, marker = line.partition(";")
        if "extra" in marker or "win" in marker.lower() or "python_version" in marker:
            continue
        if match := NAME.match(requirement):
            yield match[0]


def collect(lib: Path, compiled: Path) -> None:
    """Copy what is installed, and name what has compiled parts, pinned as it is."""
    pins = dict(_pins((ROOT / "requirements.txt").read_text()))
    wanted = []
    for name, package in needed().items():
        files = [file for file in package.files or () if ".." not in file.parts]
        if any(file.suffix == COMPILED for file in files):
            wanted.append(pins[name])
        for file in files:
            is_ours = name not in NOT_OURS or file.parts[0].endswith(".dist-info")
            if is_ours and "__pycache__" not in file.parts and file.suffix != ".pth":
                _copy(Path(str(file.locate())), lib / file)
    for ours in sorted((ROOT / OURS).rglob("*")):
        if ours.is_file() and "__pycache__" not in ours.parts:
            _copy(ours, lib / ours.relative_to(ROOT))
    compiled.write_text("".join(wanted))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _pins(requirements: str) -> Iterator[tuple[str, str]]:
    for pin in re.split(r"\n(?=[a-z0-9])", requirements):
        name = pin.partition("==")[0].partition("[")[0]
        lines = [line for line in pin.splitlines() if not line.lstrip().startswith("#")]
        yield name, "\n".join(lines) + "\n"


def add(lib: Path, wheel: Path) -> None:
    """The compiled parts of a wheel for another Python, beside those that are there."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(lib, [n for n in packed.namelist() if n.endswith(COMPILED)])


def pack(lib: Path, out: Path) -> None:
    """Make the file."""
    from hashlib import sha256

    files = sorted(path for path in lib.rglob("*") if path.is_file())
    digest = sha256()
    for path in files:
        digest.update(str(path.relative_to(lib)).encode() + sha256(path.read_bytes()).digest())
    with out.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in files:
                name = str(path.relative_to(lib))
                packed.writestr(
                    zipfile.ZipInfo(name, MOMENT), path.read_bytes(), zipfile.ZIP_DEFLATED
                )
            start = START.format(digest=digest.hexdigest()[:32], fits=_fits(files))
            packed.writestr(zipfile.ZipInfo("__main__.py", MOMENT), start)
    out.chmod(0o755)


def _fits(files: list[Path]) -> list[list[str]]:
    """The Pythons and the machines that each compiled part is there for."""
    fits: dict[str, set[tuple[str, str]]] = {}
    for file in files:
        if found := TAG.search(file.name):
            part = f"{file.parent}/{file.name[: found.start()]}"
            fits.setdefault(part, set()).add((f"{found[1]}.{found[2]}", found[3]))
    return sorted(map(list, set.intersection(*fits.values())), key=lambda each: int(each[0][2:]))


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    {"collect": collect, "add": add, "pack": pack}[what](*map(Path, paths))
