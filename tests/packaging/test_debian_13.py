"""The package for Debian 13 on Debian 13: its Python, its systemd, its apt."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.documents import ROOT
from tests.packaging.test_dist import BUILT_S, DATA, said
from tests.packaging.test_version import NUMBER
from tests.runners.steps.booted import booted

RELEASE = "trixie"
PYTHON = "3.13"
SETTINGS = "/etc/commissaire/commissaire.toml"

pytestmark = pytest.mark.proof


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A Debian 13 with systemd, and what the package needs."""
    root = tmp_path / RELEASE
    subprocess.run([ROOT / ".ci/packages", "mmdebstrap"], check=True, timeout=BUILT_S)
    packages = "--include=systemd,systemd-sysv,dbus,python3,man-db"
    make = ["mmdebstrap", "--quiet", "--variant=minbase", packages, RELEASE, str(root)]
    subprocess.run(make, check=True, timeout=BUILT_S)
    return root


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Built here, whatever this machine's Python is."""
    out = tmp_path / "dist"
    wheel = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(wheel, cwd=ROOT, check=True, timeout=BUILT_S)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1"}
    build = [str(ROOT / ".ci/deb"), str(out), PYTHON]
    subprocess.run(build, env=environment, check=True, timeout=BUILT_S)
    (package,) = out.glob(f"commissaire_{NUMBER}~deb13_*.deb")
    return package


async def test_it_is_installed_serves_and_is_removed_and_purged(
    system: Path, package: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    kept = tmp_path / "var-lib"
    shutil.move(system / "var/lib", kept)
    (system / "var/lib").mkdir()
    shutil.copy(package, kept / "commissaire.deb")
    with booted(tmp_path, system) as machine:
        assert 'VERSION_ID="13"' in await said(machine, "cat /etc/os-release")
        await said(machine, "apt-get install -y --no-install-recommends /var/lib/commissaire.deb")
        await said(machine, f"sed -i 's/^port = .*/port = {unused_tcp_port}/' {SETTINGS}")
        await said(machine, "systemctl start commissaire")
        up = f"for n in $(seq 240); do test -e {DATA}/local.json && exit; sleep .25; done; exit 1"
        await said(machine, up)
        await said(machine, "commctl cluster create web && commctl host list")
        assert "web" in await said(machine, "commctl cluster list")
        python = "/usr/lib/commissaire/bin/python3 --version"
        assert (await said(machine, python)).startswith(f"Python {PYTHON}.")
        assert "It opens the vault" in await said(
            machine, f"commissaire doctor --config {SETTINGS}"
        )
        assert await said(machine, f"stat -c '%U %a' {DATA}") == "commissaire 700\n"

        await said(machine, "apt-get remove -y commissaire")
        await said(machine, f"test -e {DATA}/commissaire.db && ! test -e /usr/lib/commissaire")
        assert "inactive" in await said(machine, "systemctl is-active commissaire || true")
        await said(machine, "apt-get purge -y commissaire")
        await said(machine, f"! test -e {DATA} && ! test -e /etc/commissaire")
