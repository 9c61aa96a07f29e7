"""Text of strangers, in which what a terminal or a page would obey is shown instead."""

import re
from codecs import getincrementaldecoder

UTF_8 = getincrementaldecoder("utf-8")
CHARACTER_BYTES_MAX = 4

OBEYED = re.compile(
    # Controls but tab and newline, and those that turn the direction of what follows.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def whole(said: bytes) -> bytes:
    """Without the end that what follows may change: half a character, or half a line end."""
    if said.endswith(b"\r"):
        return said[:-1]
    decoder = UTF_8("backslashreplace")
    decoder.decode(said[-CHARACTER_BYTES_MAX:])
    pending, _ = decoder.getstate()
    return said[: len(said) - len(pending)]


def shown(said: bytes) -> bytes:
    """As UTF-8; a control character, and a byte that is no text, is written as in `\\x1b`."""
    text = said.decode(errors="backslashreplace").replace("\r\n", "\n")
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], text).encode()
