"""`Range`: a part of an answer, in bytes (RFC 9110 14). Several parts at once are the whole."""

import re
from collections.abc import Sequence

from starlette.requests import Request

from web.http.problems import Problem
from web.http.replies import Header, Reply

RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")
TAKES_RANGES: Header = (b"accept-ranges", b"bytes")


def ranged(request: Request, body: bytes, headers: Sequence[Header]) -> Reply:
    """The part that is asked for (206), or all of it. Raises `Problem` where there is none (416).

    An answer without a validator is never the one that `If-Range` names.
    """
    headers = [*headers, TAKES_RANGES]
    given = dict(request.scope["headers"])
    found = RANGE.fullmatch(given.get(b"range", b"").replace(b" ", b""))
    if request.method != "GET" or b"if-range" in given or found is None or found[0] == b"bytes=-":
        return Reply(body, 200, headers)
    first, last = _bounds(found[1], found[2], len(body))
    if first > last and found[1] and found[2] and int(found[1]) > int(found[2]):
        return Reply(body, 200, headers)  # no range at all
    if first > last:
        raise Problem(
            "range",
            f"There are {len(body)} bytes so far, and none of those that Range asks for.",
            headers=[(b"content-range", b"bytes */%d" % len(body))],
        )
    place = b"bytes %d-%d/%d" % (first, last, len(body))
    return Reply(body[first : last + 1], 206, [*headers, (b"content-range", place)])


def _bounds(first: bytes, last: bytes, size: int) -> tuple[int, int]:
    """The first and the last byte; an empty part where the first is beyond the last."""
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
