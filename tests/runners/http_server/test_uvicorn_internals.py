"""uvicorn's connection is still what ours, which overrides it, takes it for.

If a test fails: read `httptools_impl.py` of uvicorn beside `connection.py`, mend what has changed,
and then raise the bound of uvicorn in `pyproject.toml`.
"""

import asyncio
import inspect
from importlib.metadata import version

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from runners.http_server.connection import Connection

OVERRIDDEN = {
    "connection_lost": ("exc",),
    "connection_made": ("transport",),
    "data_received": ("data",),
    "eof_received": (),
    "on_header": ("name", "value"),
    "on_headers_complete": (),
    "on_message_begin": (),
    "on_message_complete": (),
    "on_response_complete": (),
    "pause_writing": (),
    "resume_writing": (),
    "shutdown": (),
    "timeout_keep_alive_handler": (),
}
"""Methods of uvicorn's that ours calls and replaces, with what they take."""

USED = {
    "client", "connections", "cycle", "expect_100_continue", "flow", "headers", "loop", "parser",
    "pipeline", "scheme", "scope", "server_state", "tasks", "timeout_keep_alive",
    "timeout_keep_alive_task", "transport",
}  # fmt: skip
USED_OF_A_CYCLE = {
    "disconnected", "keep_alive", "message_event", "more_body", "response_complete",
    "response_started", "transport",
}  # fmt: skip


async def app(scope: object, receive: object, send: object) -> None:
    """No request reaches it."""


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_is_overridden_is_there_as_before(name: str) -> None:
    theirs = inspect.signature(getattr(HttpToolsProtocol, name))
    assert tuple(theirs.parameters)[1:] == OVERRIDDEN[name], version("uvicorn")


def test_nothing_else_is_overridden_by_chance() -> None:
    theirs = {name for name in vars(HttpToolsProtocol) if not name.startswith("__")}
    assert theirs & vars(Connection).keys() == OVERRIDDEN.keys()


async def test_the_state_that_is_used_is_there() -> None:
    loop = asyncio.get_running_loop()
    protocol = HttpToolsProtocol(Config(app), ServerState(), {}, loop)
    assert vars(protocol).keys() >= USED
    parameters = dict.fromkeys(inspect.signature(RequestResponseCycle).parameters)
    cycle = RequestResponseCycle(**parameters)  # type: ignore[arg-type] # nothing is called
    assert vars(cycle).keys() >= USED_OF_A_CYCLE
