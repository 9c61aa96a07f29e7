"""Makes the stored data directories again: `python -m tests.upgrades.make`, in a whole clone.

The version of `COMMIT` runs itself, in a worktree of its own (`filling.py`), once on each engine.
What it leaves is kept: the files of its data directory, and its database in SQL.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.postgres import PostgresServer

COMMIT = "532b2afe21fae52870ce6836968ebb0c02b130fa"
"""The last one before accounts in the database, labels, and the read model of the fleet."""
STORED = Path(__file__).with_name("stored")
FILLING = Path(__file__).with_name("filling.py")
LIMIT_S = 300


def main() -> None:
    """Make both."""
    with tempfile.TemporaryDirectory() as scratch:
        version = Path(scratch) / "version"
        git = ("git", "-C", str(FILLING.parent), "worktree")
        subprocess.run([*git, "add", "--detach", str(version), COMMIT], check=True)
        try:
            fill(version, Path(scratch) / "on-sqlite", STORED / "sqlite", None)
            server = PostgresServer()
            try:
                url = server.url(server.create_database())
                fill(version, Path(scratch) / "on-postgresql", STORED / "postgresql", url)
            finally:
                server.discard()
        finally:
            subprocess.run([*git, "remove", "--force", str(version)], check=True)


def fill(version: Path, directory: Path, stored: Path, url: str | None) -> None:
    """Have that version run on a new directory, and keep what it leaves."""
    subprocess.run(
        [sys.executable, str(FILLING), str(directory), str(stored), *([url] if url else [])],
        cwd=version,
        env=os.environ | {"PYTHONPATH": str(version)},
        timeout=LIMIT_S,
        check=True,
    )


if __name__ == "__main__":
    main()
