"""The users file: read when it changes, written at once, and never half."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.os_support import json_file
from runners.os_support.json_file import BrokenFile, ChangeRefused
from runners.security.users import UsersFile, hash_password

LOW_COST = 4
HASH = hash_password("secret", LOW_COST)
WRITERS = 8


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "users.json")


def write(file: UsersFile, entries: object) -> None:
    file.path.write_text(json.dumps(entries))


def test_without_a_file_there_are_no_users(file: UsersFile) -> None:
    assert file.users == {}


def test_a_user_without_a_role_is_an_admin_as_in_old_files(file: UsersFile) -> None:
    write(file, {"a": {"hash": HASH.decode()}, "b": {"hash": HASH.decode(), "role": "viewer"}})
    assert {name: account.role for name, account in file.users.items()} == {
        "a": "admin",
        "b": "viewer",
    }


def test_every_change_is_seen_by_the_next_look(file: UsersFile) -> None:
    other = UsersFile(file.path)
    for number in range(50):
        other.add(f"user{number}", HASH, "viewer")
        assert f"user{number}" in file.users
    other.remove("user7")
    assert "user7" not in file.users
    file.path.unlink()
    assert file.users == {}


def test_a_change_in_place_of_the_same_length_is_seen(file: UsersFile) -> None:
    for name in ("ada", "bob", "eve") * 20:
        write(file, {name: {"hash": HASH.decode()}})
        assert set(file.users) == {name}


def test_while_nothing_changes_the_same_users_are_given(file: UsersFile) -> None:
    file.add("ada", HASH, "admin")
    assert file.users is file.users


BROKEN = {
    "no JSON": "{",
    "a list": "[]",
    "no object": '{"ada": 1}',
    "no hash": '{"ada": {}}',
    "no bcrypt": '{"ada": {"hash": "md5"}}',
    "a hash that would take days": json.dumps(
        {"ada": {"hash": HASH.decode().replace("$04$", "$31$")}}
    ),
    "an unknown role": json.dumps({"ada": {"hash": HASH.decode(), "role": "root"}}),
    "a role that is no text": json.dumps({"ada": {"hash": HASH.decode(), "role": []}}),
    "a misspelt role": json.dumps({"ada": {"hash": HASH.decode(), "rol": "viewer"}}),
    "a colon": json.dumps({"a:b": {"hash": HASH.decode()}}),
    "no name": json.dumps({"": {"hash": HASH.decode()}}),
    "a name twice": '{"ada": {"hash": "a"}, "ada": {"hash": "b"}}',
    "deep nesting": "[" * 100_000,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_keeps_the_users_and_is_reported_once(tmp_path: Path, text: str) -> None:
    reports: list[BrokenFile] = []
    file = UsersFile(tmp_path / "users.json", reports.append)
    file.add("ada", HASH, "viewer")
    assert set(file.users) == {"ada"}
    file.path.write_text(text)
    assert file.users["ada"].role == "viewer"
    assert set(file.users) == {"ada"}
    assert len(reports) == 1
    assert str(file.path) in str(reports[0])
    assert HASH.decode() not in str(reports[0])
    with pytest.raises(BrokenFile):
        file.read()
    write(file, {"bob": {"hash": HASH.decode()}})
    assert set(file.users) == {"bob"}


@pytest.mark.parametrize("empty_one_instead", [False, True], ids=["gone", "unmounted"])
def test_a_file_that_is_gone_with_its_directory_keeps_the_users(
    tmp_path: Path, empty_one_instead: bool
) -> None:
    reports: list[BrokenFile] = []
    directory = tmp_path / "data"
    directory.mkdir()
    file = UsersFile(directory / "users.json", reports.append)
    file.add("ada", HASH, "viewer")
    assert set(file.users) == {"ada"}
    directory.rename(tmp_path / "elsewhere")
    if empty_one_instead:
        directory.mkdir()
    for _ in range(3):
        assert set(file.users) == {"ada"}
    assert [str(each) for each in reports] == [f"{file.path} is gone, and its directory with it."]
    if empty_one_instead:
        directory.rmdir()
    (tmp_path / "elsewhere").rename(directory)
    assert (set(file.users), file.broken) == ({"ada"}, "")
    file.path.unlink()
    assert (set(file.users), file.broken) == (set(), "")


@given(text=st.binary())
def test_whatever_is_in_the_file_it_is_users_or_broken(text: bytes) -> None:
    try:
        users = UsersFile(Path("users.json")).parsed(text)
    except BrokenFile:
        return
    assert users == {}


def test_a_directory_or_a_pipe_in_its_place_is_broken_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(BrokenFile):
            UsersFile(path).read()


def test_the_file_is_for_its_owner_only_and_nothing_else_stays_behind(file: UsersFile) -> None:
    file.add("ada", HASH, "admin")
    file.path.chmod(0o644)
    file.add("bob", HASH, "viewer")
    file.remove("ada")
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert list(file.path.parent.iterdir()) == [file.path]
    assert json.loads(file.path.read_text()) == {"bob": {"hash": HASH.decode(), "role": "viewer"}}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_file_keeps_its_owner(file: UsersFile) -> None:
    file.add("ada", HASH, "admin")
    os.chown(file.path, 12_345, 12_346)
    file.add("bob", HASH, "viewer")
    assert (file.path.stat().st_uid, file.path.stat().st_gid) == (12_345, 12_346)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    link = tmp_path / "users.json"
    link.symlink_to(tmp_path / "etc" / "users.json")
    UsersFile(link).add("ada", HASH, "admin")
    assert link.is_symlink()
    assert set(UsersFile(tmp_path / "etc" / "users.json").users) == {"ada"}


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(
    file: UsersFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.add("ada", HASH, "admin")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        file.add("bob", HASH, "admin")
    assert set(file.users) == {"ada"}
    assert list(file.path.parent.iterdir()) == [file.path]


def test_writers_at_the_same_moment_lose_nothing(file: UsersFile) -> None:
    code = (
        "import sys; from pathlib import Path; from runners.security.users import UsersFile\n"
        "file = UsersFile(Path(sys.argv[1]))\n"
        "name, hashed = sys.argv[2], sys.argv[3].encode()\n"
        "for number in range(10): file.add(f'{name}-{number}', hashed, 'viewer')"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(file.path), f"w{n}", HASH.decode()])
        for n in range(WRITERS)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * WRITERS
    assert len(file.users) == WRITERS * 10


def test_a_writer_that_never_ends_is_not_waited_for_forever(
    file: UsersFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "LOCK_WAIT_S", 0.05)
    holder = os.open(file.path.parent, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(ChangeRefused, match="Somebody else"):
        file.add("ada", HASH, "admin")
    os.close(holder)
    file.add("ada", HASH, "admin")


@pytest.mark.parametrize("name", ["", "a:b", "a b", ".a", "-a", "a\n", "a" * 65, "é"])
def test_names_that_nobody_could_use_are_refused(file: UsersFile, name: str) -> None:
    with pytest.raises(ChangeRefused, match="A user name is"):
        file.add(name, HASH, "admin")


def test_a_user_is_not_replaced_by_accident(file: UsersFile) -> None:
    file.add("ada", HASH, "admin")
    with pytest.raises(ChangeRefused, match="--replace"):
        file.add("ada", HASH, "viewer")
    file.add("ada", HASH, "viewer", replace=True)
    assert file.users["ada"].role == "viewer"


def test_removing_somebody_unknown_is_refused(file: UsersFile) -> None:
    with pytest.raises(ChangeRefused, match="no user 'ada'"):
        file.remove("ada")


@pytest.mark.parametrize("password", ["", "a\0b", "a\nb", "\x85", "é" * 37, "a" * 73])
def test_passwords_that_could_not_log_in_are_refused(password: str) -> None:
    with pytest.raises(ChangeRefused) as refused:
        hash_password(password, LOW_COST)
    assert not password or password not in str(refused.value)


def test_a_password_of_72_bytes_is_hashed_whole() -> None:
    hashed = hash_password("é" * 36, LOW_COST)
    assert bcrypt.checkpw(("é" * 36).encode(), hashed)
    assert not bcrypt.checkpw(("é" * 35 + "e").encode(), hashed)
