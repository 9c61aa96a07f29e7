"""A full disk: a clear refusal, nothing half-written, and on it goes when there is room again."""

import os
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from domain.log.engines.sqlite import SQLiteEngine
from domain.refusal import Refusal
from tests.domain.log.writing import create, creating, names
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done

DISK_BYTES = 4 * 1024 * 1024
COMMANDS_MAX = 3000


def fill(store: Store, reserve: Path | None) -> None:
    """Write until nothing more fits, make room, and write on."""
    with store.writer() as writer:
        stored = []
        refusal: BaseException | None = None
        for n in range(COMMANDS_MAX):
            refusal = writer.submit(ACT, creating(wide_name(n))).exception(WAIT_TIMEOUT_S)
            if refusal is not None:
                break
            stored.append(wide_name(n))
        assert isinstance(refusal, Refusal)
        assert refusal.kind == "storage_full", refusal.sentence
        assert names(store) == sorted(stored)
        store.must_be_consistent()
        if reserve is not None:
            reserve.unlink()
        else:
            done(writer, lambda unit: unit.tx.execute("PRAGMA max_page_count = 100000"))
        assert done(writer, create, "after") == "after"
    assert names(store) == sorted([*stored, "after"])
    store.must_be_consistent()


def wide_name(n: int) -> str:
    """A long name."""
    return f"c{n:04}" + "x" * 50


class SmallSQLite(SQLiteEngine):
    """A database that may not have more than a few pages."""

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """A connection with that limit, which SQLite keeps by connection."""
        connection = super().connect(read_only=read_only)
        connection.execute("PRAGMA max_page_count = 60")
        return connection


def test_a_database_that_may_not_grow_is_refused_and_recovers(sqlite_store: Store) -> None:
    sqlite_store.engine = SmallSQLite(sqlite_store.path)
    fill(sqlite_store, None)
    sqlite_store.engine.close()


def test_a_full_disk_is_refused_and_recovers(tmp_path: Path) -> None:
    # Only the child, in a mount namespace of its own, sees the small disk.
    mount = f'mount -t tmpfs -o size={DISK_BYTES} small {tmp_path} && exec "$@"'
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root"]
    command = [*unshare, "sh", "-c", mount, "sh", sys.executable, "-m", __name__, str(tmp_path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if "unshare failed" in run.stderr or "Operation not permitted" in run.stderr:
        pytest.skip(f"no mount namespaces here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr


def main(directory: Path) -> None:
    """In the child: a store on the small disk, beside a file that can make room."""
    reserve = directory / "reserve"
    reserve.write_bytes(bytes(DISK_BYTES // 4))
    with ExitStack() as opened:
        fill(Store(f"sqlite:///{directory / 'commissaire.db'}", opened).create(), reserve)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
