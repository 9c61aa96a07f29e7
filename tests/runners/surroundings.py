"""A machine that has run out of something."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

MORE = 8
"""So many files may still be opened, and are taken."""


@contextmanager
def no_files_left() -> Iterator[None]:
    """While the context is open, this process can open no file, and connect to nobody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + MORE, hard))
    try:
        try:
            while True:
                held.append(os.dup(held[0]))
        except OSError:
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            os.close(each)
