"""What a step says, as it says it."""

import sys
import time

from commctl.exits import DONE
from commctl.session import Session
from commctl.show.text import cleaned
from commctl.streams import PAUSE_MAX_S, PAUSE_S, READ_TIMEOUT_S

END = "end"


def follow_output(use: Session, path: str, tail: int | None) -> int:
    """Print it to its end; a connection that breaks is made anew from the same place.

    With `tail`, of what was said before only so many lines.
    """
    import httpx
    from httpx_sse import SSEError, connect_sse

    transport, place, pause = use.api.transport, 0, PAUSE_S
    if tail is not None:
        text = str(use.api.get(path))
        place = len(text.encode())
        _say("".join(text.splitlines(keepends=True)[-tail:]))
    while True:
        try:
            with connect_sse(
                transport.http, "GET", path, params={"offset": place}, timeout=READ_TIMEOUT_S
            ) as source:
                if source.response.status_code >= 400:
                    source.response.read()
                    raise transport.refusal(source.response)
                for said in source.iter_sse():
                    if said.event == END:
                        return DONE
                    pause, place = PAUSE_S, int(said.id) if said.id.isdecimal() else place
                    _say(said.data)
        except (httpx.TransportError, SSEError):
            transport.renew()
        time.sleep(pause)
        pause = min(2 * pause, PAUSE_MAX_S)


def _say(text: str) -> None:
    sys.stdout.write(cleaned(text, lines=True))
    sys.stdout.flush()
