"""The image serves as a user without rights, on a root that it cannot write, with one volume."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.documents import ROOT
from tests.packaging.test_dist import BUILT_S, dist
from tests.packaging.test_version import NUMBER
from tests.support.service import wait_for

__all__ = ["dist"]

HERE = Path(__file__).parent
DATA = "/var/lib/commissaire-service"
USER = 10001
LIMIT_S = 120
ALIKE = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
"""crun takes either kind of control groups, and not both, as this machine may have: in a namespace
of mounts of its own there is one."""

pytestmark = pytest.mark.proof


class Podman:
    """podman, as root, with a storage of its own: not every machine lets users make namespaces."""

    def __init__(self, directory: Path) -> None:
        self._line = [
            *("unshare", "--mount", "sh", "-c", ALIKE, "sh"),
            *("podman", "--storage-driver", "vfs"),
            *("--root", str(directory / "storage"), "--runroot", str(directory / "run")),
        ]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command in the background."""
        return subprocess.Popen([*self._line, *words], stdin=subprocess.DEVNULL)

    def run(self, *words: str) -> str:
        """What a command says that has to succeed."""
        ended = subprocess.run(
            [*self._line, *words], capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        return ended.stdout


@pytest.fixture(scope="module")
def podman(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """With the image loaded."""
    subprocess.run([ROOT / ".ci/packages", "podman", "crun"], check=True, timeout=BUILT_S)
    podman = Podman(tmp_path_factory.mktemp("podman"))
    (image,) = dist.glob("*-image.tar")
    podman.run("load", "--quiet", "--input", str(image))
    return podman


@pytest.fixture
def url(podman: Podman, tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    """Where the image serves."""
    (tmp_path / "data").mkdir(mode=0o700)
    os.chown(tmp_path / "data", USER, USER)
    process = podman.start(
        *("run", "--rm", "--name", "serving", "--read-only", "--cap-drop", "all"),
        *("--security-opt", "no-new-privileges", "--runtime", "crun", "--network", "host"),
        # What a machine in a sandbox does not give: control groups, and higher limits.
        *("--cgroups", "disabled", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"),
        *("--volume", f"{tmp_path / 'data'}:{DATA}", f"localhost/commissaire:{NUMBER}"),
        *("serve", "--port", str(unused_tcp_port)),
    )
    try:
        url = f"http://127.0.0.1:{unused_tcp_port}"
        wait_for(lambda: process.poll() is not None or _answers(f"{url}/healthz"), LIMIT_S)
        yield url
    finally:
        process.terminate()
        assert process.wait(LIMIT_S) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_it_serves_as_nobody_on_what_it_cannot_write(
    podman: Podman, url: str, tmp_path: Path
) -> None:
    assert httpx.get(f"{url}/readyz").status_code == 200
    podman.run("exec", "serving", "commctl", "cluster", "create", "web")
    assert "web" in podman.run("exec", "serving", "commctl", "cluster", "list")
    assert "uid=10001" in podman.run("exec", "serving", "id")
    assert podman.run("exec", "serving", "sh", "-c", "touch /x 2>&- || printf no") == "no"
    kept = list((tmp_path / "data").iterdir())
    assert "commissaire.db" in {each.name for each in kept}
    assert {each.stat().st_uid for each in kept} == {USER}


def test_it_says_what_it_is_and_what_is_in_it(podman: Podman, dist: Path) -> None:
    said = json.loads(podman.run("image", "inspect", f"localhost/commissaire:{NUMBER}"))[0]
    assert said["Config"]["User"] == f"{USER}:{USER}"
    assert list(said["Config"]["Volumes"]) == [DATA]
    (listed,) = dist.glob("*-image.cdx.json")
    parts = {part["name"] for part in json.loads(listed.read_text())["components"]}
    assert {"asyncssh", "libc6", "python3"} <= parts
    (image,) = dist.glob("*-image.tar")
    with tarfile.open(image) as archive:
        assert "./oci-layout" in archive.getnames()


@pytest.fixture(scope="module")
def checked_by(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A Python with the specifications."""
    environment = tmp_path_factory.mktemp("check")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=BUILT_S)
    python = str(environment / "bin/python")
    pinned = ["--require-hashes", "-r", str(HERE / "manifest-check.txt")]
    install = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *pinned]
    subprocess.run(install, check=True, timeout=BUILT_S)
    return [python, str(HERE / "manifest_check.py")]


@pytest.mark.parametrize(
    ("kind", "has", "right", "wrong"),
    [
        ("compose", ["first", "postgres", "second"], "stop_grace_period", "stop_grace"),
        (
            "kubernetes",
            ["Deployment", "Service", "PodDisruptionBudget", "StatefulSet", "Service"],
            "replicas: 2",
            "replicas: two",
        ),
    ],
)
def test_the_manifests_are_as_their_specifications_have_them(
    checked_by: list[str], tmp_path: Path, kind: str, has: list[str], right: str, wrong: str
) -> None:
    manifest = ROOT / f"docs/examples/{kind}.yml"
    said = subprocess.check_output([*checked_by, kind, manifest], text=True, timeout=LIMIT_S)
    assert said.split() == has
    broken = tmp_path / "broken.yml"
    broken.write_text(manifest.read_text().replace(right, wrong))
    line = [*checked_by, kind, str(broken)]
    ended = subprocess.run(line, capture_output=True, check=False, timeout=LIMIT_S)
    assert ended.returncode != 0
