"""How the C library keeps memory, where it is glibc."""

import ctypes

M_MMAP_THRESHOLD = -3
"""Of malloc.h."""
LARGE_BYTES = 512 * 1024


def give_back_large_blocks() -> None:
    """From now on large blocks (lists of thousands of hosts) go back to the system when freed.

    glibc otherwise keeps them once it has seen some freed, in one heap for each thread, between
    small blocks that stay: after many lists that is tens of megabytes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have no such setting
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
