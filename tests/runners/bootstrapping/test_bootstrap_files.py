"""How files are written on a host: whole, with mode and owner, where they differ; by any sh."""

import os
import pwd
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runners.bootstrapping.rendered_step import WRITE, ReadyFile, ReadyStep, needed, probe
from runners.bootstrapping.step_files import Step

SHELLS = [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]]
CONTENT = """a "quoted" 'line' with $HOME, `id`, \\n and %s\n\tand ü\n\n"""
LIMIT_S = 60.0

pytestmark = pytest.mark.parametrize("shell", SHELLS, ids=" ".join)


@pytest.fixture(autouse=True)
def _there(shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"there is no {shell[0]} on this machine")


def file(tmp_path: Path) -> ReadyFile:
    """As an operator may want one; owned by whoever runs the tests, as only root may give away."""
    user = pwd.getpwuid(os.geteuid())
    path = str(tmp_path / "etc/x.conf")
    return ReadyFile(path, 0o640, f"{user.pw_name}:{_group()}", CONTENT)


def _group() -> str:
    said = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def write(shell: list[str], tmp_path: Path, *files: ReadyFile) -> subprocess.CompletedProcess[str]:
    words = [word for f in files for word in (*f.words, f"{f.mode:o}", f.sha256)]
    mark = str(tmp_path / "marks/one")
    return subprocess.run(
        [*shell, "-c", WRITE, "write", "run-1 changed", mark, *words],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def is_needed(shell: list[str], *files: ReadyFile) -> bool:
    step = ReadyStep(Step.model_validate({"name": "one", "files": [], "commands": [["true"]],
                                          "unless": [["true"]]}), files)  # fmt: skip
    said = subprocess.run(
        [*shell, "-c", probe([step], "nonce")], capture_output=True, timeout=LIMIT_S, check=True
    )
    assert said.stderr == b""
    found = needed([step], said.stdout, "nonce")
    assert found is not None
    return bool(found)


def test_a_file_is_written_once_with_its_mode_and_told(shell: list[str], tmp_path: Path) -> None:
    wanted = file(tmp_path)
    path = Path(wanted.path)
    assert is_needed(shell, wanted)
    done = write(shell, tmp_path, wanted)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"run-1 changed {wanted.sha256} {wanted.path}\n"
    assert path.read_text() == CONTENT
    assert path.stat().st_mode & 0o7777 == 0o640
    assert path.parent.stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "marks/one").exists()
    assert [p.name for p in path.parent.iterdir()] == ["x.conf"]
    assert not is_needed(shell, wanted)
    before = path.stat()
    assert write(shell, tmp_path, wanted).stdout == ""
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(CONTENT + "x"),
        lambda path: path.write_text(CONTENT[:-1]),
        lambda path: path.write_bytes(CONTENT.encode()[:5] + b"\0" + CONTENT.encode()[6:]),
        lambda path: path.chmod(0o644),
        lambda path: path.chmod(0o4640),
        lambda path: (path.rename(f"{path}.real"), path.symlink_to(f"{path}.real")),
    ],
    ids=["longer", "shorter", "NUL", "mode", "setuid", "link"],
)
def test_whatever_differs_is_replaced(spoil: object, shell: list[str], tmp_path: Path) -> None:
    wanted = file(tmp_path)
    path = Path(wanted.path)
    write(shell, tmp_path, wanted)
    assert callable(spoil)
    spoil(path)
    assert is_needed(shell, wanted)
    assert write(shell, tmp_path, wanted).stdout != ""
    assert not path.is_symlink()
    assert path.read_text() == CONTENT
    assert path.stat().st_mode & 0o7777 == 0o640
    assert not is_needed(shell, wanted)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_set_and_another_is_seen(shell: list[str], tmp_path: Path) -> None:
    wanted = replace(file(tmp_path), owner="nobody:nogroup")
    write(shell, tmp_path, wanted)
    nobody = pwd.getpwnam("nobody").pw_uid
    assert Path(wanted.path).stat().st_uid == nobody
    assert not is_needed(shell, wanted)
    os.chown(wanted.path, 0, 0)
    assert is_needed(shell, wanted)


def test_what_a_killed_run_left_is_cleared_and_never_followed(
    shell: list[str], tmp_path: Path
) -> None:
    wanted = file(tmp_path)
    path = Path(wanted.path)
    path.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    (path.parent / "x.conf.commissaire.7").symlink_to(elsewhere)
    assert write(shell, tmp_path, wanted).returncode == 0
    assert not elsewhere.exists()
    assert [p.name for p in path.parent.iterdir()] == ["x.conf"]


def test_a_directory_in_its_place_and_a_name_that_nobody_has_fail_and_leave_nothing(
    shell: list[str], tmp_path: Path
) -> None:
    wanted = file(tmp_path)
    Path(wanted.path).mkdir(parents=True)
    done = write(shell, tmp_path, wanted)
    assert done.returncode == 1
    assert done.stderr == f"{wanted.path} is a directory, and should be a file.\n"
    Path(wanted.path).rmdir()
    done = write(shell, tmp_path, replace(wanted, owner="nobodyatall:root"))
    assert done.returncode == 1
    assert done.stderr.endswith(f"{wanted.path} cannot be given to nobodyatall:root.\n")
    assert list(Path(wanted.path).parent.iterdir()) == []
