"""The script of `commctl run`: from a file or from standard input, and from the log once it ran."""

import sys
from pathlib import Path

from commctl.exits import WrongUse
from commctl.session import Session


def script_of(file: Path) -> str:
    """What is in the file; `-` is standard input. Raises WrongUse."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file} cannot be read: {error}") from None


def script_that_ran(use: Session, operation: str) -> str:
    """The script of an operation that is a run."""
    found = use.api.events(1, subject=f"operation/{operation}", type="operation.started")
    return str(next(found)["data"]["script"])
