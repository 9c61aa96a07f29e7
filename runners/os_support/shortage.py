"""Errors of this machine, not of whoever it speaks to: files, memory, threads."""

import errno
from collections.abc import Iterator

OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN)
CAUSES_MAX = 20
"""So far an error is followed to what brought it about."""


def shortage_of(error: BaseException) -> str:
    """What this machine has run out of, where an error comes of that; "" where it does not."""
    for each in _causes(error):
        if isinstance(each, OSError) and each.errno in OURS:
            return each.strerror or ""
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    for _ in range(CAUSES_MAX):
        if not waiting:
            return
        each = waiting.pop(0)
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(each.exceptions)
        cause = each.__cause__ or each.__context__
        waiting += [cause] if cause is not None else []
