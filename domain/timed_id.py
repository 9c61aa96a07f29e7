"""Names for operations, and for steps on hosts, which sort by the time when they were made."""

import os
from datetime import UTC, datetime


def timed_id() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of the time in milliseconds, then 10 random bytes.

    A host tells by that time which guards of steps are old.
    """
    milliseconds = int(datetime.now(UTC).timestamp() * 1000)
    number = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    number[6] = 0x70 | number[6] & 0x0F
    number[8] = 0x80 | number[8] & 0x3F
    text = number.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
