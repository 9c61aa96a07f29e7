"""Private keys as clients send them, and what is made of them."""

from collections.abc import Callable

from domain.commands.fleet_commands import OfferedKey
from domain.refusal import Refusal, invalid
from web.http.requests import Request
from web.schemas.bodies import NO_KEY

ParseKey = Callable[[bytes], str]
"""The fingerprint of a private key's public half, or a refusal that says what is wrong."""


async def offered(request: Request, raw: bytes, parse: ParseKey, *, now: bool) -> OfferedKey:
    """A key for a command to compare or to parse.

    Parsing takes milliseconds, and a command that parses holds up all others. `now` parses
    beforehand, beside the event loop, for a host that seems new; the command then only looks at
    the outcome, because it alone knows whether the key is to be parsed at all.
    """
    if not raw:
        return OfferedKey(raw, _Refused(invalid(f"ssh_priv_key {NO_KEY}.", "ssh_priv_key")))
    if not now:
        return OfferedKey(raw, parse)
    try:
        fingerprint = await request.aside(parse, raw)
    except Refusal as refusal:
        return OfferedKey(raw, _Refused(refusal))
    return OfferedKey(raw, lambda _: fingerprint)


class _Refused:
    """What parsing came to, for whoever asks."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def __call__(self, raw: bytes) -> str:
        raise self._refusal
