"""One process serves a data directory, also where its lock file is deleted or replaced."""

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runners.os_support.directory_lock import (
    CHECK_EVERY_S,
    LOCK_FILE,
    DataDirectoryTaken,
    DataLock,
)

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "a.sqlite"
    file.touch()
    (tmp_path / LOCK_FILE).touch(0o600)
    return file


@contextmanager
def checked(lock: DataLock) -> Iterator[None]:
    """The holder lives, and looks after its lock as often as it has to."""
    over = threading.Event()

    def check() -> None:
        while not over.wait(CHECK_EVERY_S):
            lock.check()

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_second_one_is_refused_and_told_by_whom(database: Path) -> None:
    with DataLock(database.parent, database) as lock:
        with pytest.raises(DataDirectoryTaken, match="is served already by process"):
            DataLock(database.parent, database).__enter__()
        assert not lock.check()


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_a_second_one_is_refused_though_the_lock_file_was_deleted(
    database: Path, replaced: bool
) -> None:
    file = database.parent / LOCK_FILE
    with DataLock(database.parent, database) as lock, checked(lock):
        file.unlink()
        if replaced:
            file.touch()
            deadline = time.monotonic() + 20
            while not file.read_bytes():
                assert time.monotonic() < deadline, "the holder did not notice"
                time.sleep(0.05)
        with pytest.raises(DataDirectoryTaken):
            DataLock(database.parent, database).__enter__()


def test_a_holder_that_was_frozen_too_long_gives_way(database: Path) -> None:
    with DataLock(database.parent, database) as frozen:
        (database.parent / LOCK_FILE).unlink()
        with DataLock(database.parent, database), pytest.raises(DataDirectoryTaken):
            frozen.check()


def test_a_first_start_does_not_wait(tmp_path: Path) -> None:
    began = time.monotonic()
    with DataLock(tmp_path, tmp_path / "a.sqlite"):
        assert time.monotonic() - began < CHECK_EVERY_S


def test_a_lock_is_taken_back_though_nothing_can_be_written_any_more(database: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DataLock(database.parent, database) as lock:
        (database.parent / LOCK_FILE).unlink()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            assert [lock.check(), lock.check()] == [True, False]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_no_file_is_no_lock_and_is_not_waited_for(database: Path) -> None:
    place = database.parent / LOCK_FILE
    with DataLock(database.parent, database) as lock:
        place.unlink()
        os.mkfifo(place)
        before = len(list(OPEN_FILES.iterdir()))
        for _ in range(3):
            with pytest.raises(OSError, match="is no file"):
                lock.check()
        assert len(list(OPEN_FILES.iterdir())) == before
        place.unlink()
        assert lock.check()
