"""Whether the process answers at all."""

from web.replies import INERT, NO_STORE, NOSNIFF, Header, Reply
from web.requests import Request

TEXT: tuple[Header, ...] = (
    (b"content-type", b"text/plain; charset=utf-8"),
    NO_STORE,
    NOSNIFF,
    INERT,
)


async def healthz(request: Request) -> Reply:
    """Whether the process answers.

    The event loop turns. Whether everything else works is for `/readyz` to say.
    """
    return Reply(b"ok\n", 200, TEXT)
