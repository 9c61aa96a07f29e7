"""What a step says, as it says it."""

import sys

from commctl.exits import DONE
from commctl.session import Session
from commctl.show.text import cleaned


def follow_output(use: Session, path: str, tail: int | None) -> int:
    """Print it to its end; a connection that breaks is made anew from the same place."""
    raise NotImplementedError


_ = (cleaned, sys, DONE)
