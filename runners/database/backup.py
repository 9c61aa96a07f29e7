"""A copy of the data directory, made while the service runs: `commissaire backup`.

It has everything that a service on another machine needs but the master key, so whoever finds the
copy cannot read the private keys in it.
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
BUSY_TIMEOUT_S = 30.0
"""How long the database may be locked by somebody else before the backup is given up."""


class BackupRefused(Exception):
    """There is no backup; the sentence says why."""


def back_up(database: Path, files: Mapping[str, Path], target: Path) -> int:
    """Copy an SQLite database, as of one moment, and what there is of other files, by new names.

    `target` becomes a directory, at once and whole, or not at all. Gives the log's position that
    the copy goes up to. Raises BackupRefused or OSError. Writers are not held up.
    """
    if os.path.lexists(target):
        raise BackupRefused(f"{target} is there already: a backup never writes over another.")
    if not database.exists():
        raise BackupRefused(f"There is no database {database}: is --data right?")
    aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    aside.mkdir(mode=DIRECTORY_MODE, parents=True)
    try:
        position = _copy_database(database, aside / database.name)
        for name, file in files.items():
            if file.exists():
                _copy_file(file, aside / name)
        _sync(aside)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync(target.parent)
    return position


def _copy_database(source: Path, copy: Path) -> int:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_TIMEOUT_S)) as origin,
            closing(sqlite3.connect(copy)) as made,
        ):
            # In one step: a reader's one state of the database. In several it would begin anew
            # with each change that somebody makes, and under load never end.
            origin.backup(made)
            # One file, whole in itself, until somebody serves it.
            made.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = made.execute("PRAGMA quick_check").fetchone()
            if verdict != "ok":
                raise BackupRefused(f"The copy of {source} is damaged, so {source} is: {verdict}.")
            (position,) = made.execute("SELECT max(position) FROM stored_events").fetchone()
    except sqlite3.Error as error:
        raise BackupRefused(f"{source} cannot be copied: {error}.") from error
    _sync(copy)
    return int(position or 0)


def _copy_file(source: Path, copy: Path) -> None:
    # Those who write it replace it at once, so what is read is whole.
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
