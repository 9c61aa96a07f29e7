"""A file of the service's own, opened where a fifo, a link or a device may stand in its place."""

import errno
import os
import stat
from pathlib import Path


def opened(path: Path, flags: int, mode: int = 0o600) -> int:
    """A descriptor of the file. Raises `OSError` for whatever is no file.

    A fifo is not waited for, and a link not followed: whatever it leads to would be overwritten.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, f"{path.name} is a link") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is no file")
    return descriptor
