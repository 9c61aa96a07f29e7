"""How memory is kept: by Python's garbage collector, and by the C library where it is glibc."""

import ctypes
import gc

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


def keep_what_is_there() -> None:
    """Look for garbage only among what is made from now on.

    A service that has started holds a hundred thousand objects to its end (modules, models,
    routes). To walk through all of them, as the collector does again and again, takes tens of
    milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


def give_back_free_memory() -> None:
    """Let the system have what was freed, after a work that took much for a while."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    if trim is not None:
        trim(0)
