"""What `make dist` builds installs, serves, is upgraded with its data, and goes again."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.docs.documents import ROOT
from tests.packaging.test_version import NUMBER
from tests.runners.steps.booted import Booted, booted
from tests.support.service import wait_for

BUILT_S = 1200
"""So long a build may take, with all downloads."""
PIP = ("-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install")
DATA = "/var/lib/commissaire-service"

pytestmark = pytest.mark.proof


def build(out: Path) -> dict[str, str]:
    """Build all into a directory; gives the SHA-256 of each file."""
    # Without the Pythons of other machines: what is fetched for them takes minutes.
    environment = {**os.environ, "OUT": str(out), "PYTHONS": "", "PYTHON_OF": "3.11"}
    subprocess.run([ROOT / ".ci/dist"], env=environment, check=True, timeout=BUILT_S)
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in out.iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was built."""
    out = tmp_path_factory.mktemp("dist")
    build(out)
    return out


def test_the_same_commit_gives_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    first = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in dist.iterdir()}
    assert {Path(name).suffix for name in first} == {".whl", ".gz", ".pyz", ".deb", ".json", ".tar"}
    assert build(tmp_path) == first


def test_all_that_has_a_version_has_this_one(dist: Path) -> None:
    names = {each.name for each in dist.iterdir()}
    assert {f"commissaire-{NUMBER}-py3-none-any.whl", f"commissaire-{NUMBER}.tar.gz"} < names
    (package,) = dist.glob("*deb12*.deb")
    field = ["dpkg-deb", "--field", str(package), "Version"]
    told = subprocess.run(field, capture_output=True, text=True, check=True, timeout=BUILT_S)
    assert told.stdout == f"{NUMBER}~deb12\n"
    one_file = [sys.executable, str(dist / "commctl.pyz"), "--version"]
    told = subprocess.run(one_file, capture_output=True, text=True, check=True, timeout=BUILT_S)
    assert told.stdout == f"commctl {NUMBER}\n"


def test_the_list_of_parts_has_every_pinned_package_with_its_hashes(dist: Path) -> None:
    (listed,) = dist.glob(f"*-{NUMBER}.cdx.json")
    parts = json.loads(listed.read_text())["components"]
    pinned = (ROOT / "requirements.txt").read_text().count("==")
    assert len(parts) == pinned
    assert all(part["externalReferences"][0]["hashes"] for part in parts)


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_it_serves_in_an_empty_environment(
    dist: Path, tmp_path: Path, kind: str, unused_tcp_port: int
) -> None:
    (package,) = dist.glob(kind)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True, timeout=BUILT_S)
    python, pinned = tmp_path / "env/bin/python", ROOT / "requirements.txt"
    pip = [str(python), *PIP, "--no-deps"]
    for what in (
        ["--require-hashes", "-r", str(pinned)],
        ["--no-index", "--no-build-isolation", str(package)],
    ):
        subprocess.run([*pip, *what], check=True, timeout=BUILT_S, cwd=tmp_path)
    serve = [str(tmp_path / "env/bin/commissaire"), "serve", "--data", str(tmp_path / "data")]
    with subprocess.Popen([*serve, "--port", str(unused_tcp_port)], cwd=tmp_path) as process:
        try:
            wait_for(_answers(f"http://127.0.0.1:{unused_tcp_port}/healthz"), 60)
        finally:
            process.terminate()
    assert process.returncode == 0


def _answers(url: str) -> Callable[[], bool]:
    def is_there() -> bool:
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    return is_there


@pytest.fixture
def scratch(dist: Path, tmp_path: Path) -> Path:
    """A directory for a small machine whose /var/lib has this version and a later one."""
    (package,) = dist.glob("*deb12*.deb")
    kept = tmp_path / "var-lib"
    kept.mkdir()
    # What apt knows of this machine: the rest of its /var/lib is not for the small machine.
    shutil.copytree("/var/lib/dpkg", kept / "dpkg", symlinks=True)
    (kept / "apt/lists/partial").mkdir(parents=True)
    shutil.copy(package, kept / "first.deb")
    _newer(package, kept / "second.deb", tmp_path)
    return tmp_path


async def test_the_package_for_debian_is_installed_upgraded_removed_and_purged(
    scratch: Path, unused_tcp_port: int
) -> None:
    with booted(scratch) as machine:
        await _said(machine, "rm -f /usr/sbin/policy-rc.d")  # of an image for containers
        await _said(machine, "apt-get install -y --no-install-recommends /var/lib/first.deb")
        settings = "/etc/commissaire/commissaire.toml"
        await _said(machine, f"sed -i 's/^port = .*/port = {unused_tcp_port}/' {settings}")
        await _said(machine, "systemctl start commissaire")
        up = f"for n in $(seq 240); do test -e {DATA}/local.json && exit; sleep .25; done; exit 1"
        await _said(machine, up)
        await _said(machine, "commctl cluster create web && commctl host list")
        assert "It opens the vault" in await _said(
            machine, f"commissaire doctor --config {settings}"
        )
        assert await _said(machine, f"stat -c '%U %a' {DATA}") == "commissaire 700\n"
        await _said(machine, f"man -w commctl && rm {DATA}/local.json")

        await _said(machine, "apt-get install -y --no-install-recommends /var/lib/second.deb")
        await _said(machine, up)
        assert "web" in await _said(machine, "commctl cluster list")
        assert str(unused_tcp_port) in await _said(machine, f"cat {settings}")

        await _said(machine, "apt-get remove -y commissaire")
        await _said(machine, f"test -e {DATA}/commissaire.db && ! test -e /usr/lib/commissaire")
        assert "inactive" in await _said(machine, "systemctl is-active commissaire || true")
        await _said(machine, "apt-get purge -y commissaire")
        await _said(machine, f"! test -e {DATA} && ! test -e /etc/commissaire")


async def _said(machine: Booted, script: str) -> str:
    """What a command says that has to succeed."""
    output = await machine.run(script)
    assert output.exit_status == 0, (script, output.stdout, output.stderr)
    return output.stdout.decode()


def _newer(package: Path, to: Path, scratch: Path) -> None:
    """The same as a later version."""
    unpacked = scratch / "unpacked"
    subprocess.run(["dpkg-deb", "-R", package, unpacked], check=True, timeout=BUILT_S)
    control = unpacked / "DEBIAN/control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1:"))
    build = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(unpacked), str(to)]
    subprocess.run(build, check=True, timeout=BUILT_S)


def test_lintian_finds_no_error(dist: Path) -> None:
    subprocess.run([ROOT / ".ci/packages", "lintian"], check=True, timeout=BUILT_S)
    (package,) = dist.glob("*deb12*.deb")
    found = subprocess.run(
        ["lintian", "--fail-on", "error", package],
        capture_output=True,
        text=True,
        timeout=BUILT_S,
        check=False,
    )
    assert found.returncode == 0, found.stdout
