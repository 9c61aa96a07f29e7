"""The body of an answer over HTTP, as long as it may be and no longer."""

import httpx

from domain.names import quoted

# Not compressed: a few bytes may become gigabytes, before anybody can count them.
PLAIN = {"accept": "application/json", "accept-encoding": "identity"}
"""What is asked for, as headers."""


class UnusableAnswer(Exception):
    """It is too long, or not what was asked for; the sentence goes on after "Its answer"."""


async def body_of(answer: httpx.Response, bytes_max: int) -> bytes:
    """All of a streamed answer. Raises `UnusableAnswer`, and what httpx raises."""
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise UnusableAnswer(f"is encoded as {quoted(encoding)}, which was not asked for.")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > bytes_max:
            raise UnusableAnswer(f"is longer than {bytes_max} bytes.")
    return bytes(body)
