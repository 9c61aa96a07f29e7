"""`make commctl.pyz`: the client as one file, for the Python of a plain system."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.documents import ROOT
from tests.support.service import Service

LIMIT_S = 300


def test_the_file_runs_with_python_alone(tmp_path: Path, service: Service) -> None:
    out = tmp_path / "commctl.pyz"
    subprocess.run(
        [".ci/pyz"],
        cwd=ROOT,
        env={**os.environ, "PYTHONS": "", "OUT": str(out)},  # of this Python: no network
        check=True,
        timeout=LIMIT_S,
    )
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    for arguments, printed in (
        (["version", "-o", "name"], ""),
        (["host", "list", "-o", "json"], "[]\n"),
    ):
        done = subprocess.run(
            [str(base), "-I", str(out), "--data", str(service.data), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(printed)
    (unpacked,) = (tmp_path / ".cache/commctl").iterdir()
    assert unpacked.stat().st_mode & 0o077 == 0
    assert not (unpacked / "runners").exists()
