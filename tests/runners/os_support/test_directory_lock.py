"""The lock of a data directory outlives its file."""

from pathlib import Path

import pytest

from runners.os_support.directory_lock import LOCK_FILE, DataDirectoryTaken, DataLock


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_file_that_is_gone_or_replaced_lets_no_second_one_in(
    tmp_path: Path, replaced: bool
) -> None:
    with DataLock(tmp_path):
        (tmp_path / LOCK_FILE).unlink()
        if replaced:
            (tmp_path / LOCK_FILE).touch()
        for _ in range(2):
            with pytest.raises(DataDirectoryTaken, match="is served already"), DataLock(tmp_path):
                pass
    with DataLock(tmp_path):
        pass
