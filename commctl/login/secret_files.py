"""Files that hold a secret: only their owner may read them, else they are not used."""

import os
import stat
import sys
import tempfile
from pathlib import Path

from commctl.exits import WrongUse

SECRET_BYTES_MAX = 64 * 1024


def read_secret(path: Path) -> str:
    """What a file holds, or standard input for `-`. Raises WrongUse where others can read it, or
    where it is empty."""
    secret = read_private(path).decode(errors="replace").strip()
    if not secret:
        raise WrongUse(f"{'Standard input' if str(path) == '-' else path} is empty.")
    return secret


def read_private(path: Path) -> bytes:
    """The same, byte for byte."""
    if str(path) == "-":
        return sys.stdin.buffer.read(SECRET_BYTES_MAX)
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
                raise WrongUse(f"{path} can be read by others: chmod 600 {path}")
            return file.read(SECRET_BYTES_MAX)
    except OSError as error:
        raise WrongUse(f"{path}: {error.strerror}") from None


def write_private(path: Path, text: str) -> None:
    """Replace a file at once; nobody else can read it at any time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
