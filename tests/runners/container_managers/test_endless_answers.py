"""An answer of a container manager that never ends is cut, however it is made."""

import asyncio
import time
from contextlib import suppress

import pytest

from runners.container_managers import kubernetes_api
from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes_api import Access, KubernetesApi
from tests.runners.container_managers.conftest import TOKEN

CUT_AFTER_S = 0.5
LIMIT_S = 60.0

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HINT = b"HTTP/1.1 103 Early Hints\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
SPACE = b"1\r\n \r\n"


@pytest.mark.parametrize("pause_s", [0.0, 0.02], ids=["flood", "drip"])
@pytest.mark.parametrize(
    ("start", "piece"), [(b"", HINT), (CHUNKED, SPACE)], ids=["hints", "chunks"]
)
async def test_an_answer_without_end_is_cut(
    start: bytes, piece: bytes, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client may leave at any byte, also before it has asked a second time.
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(start)
            while not writer.is_closing():
                writer.write(piece if pause_s else piece * 100)
                await writer.drain()
                await asyncio.sleep(pause_s)
        writer.transport.abort()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        api = KubernetesApi(Access(f"http://127.0.0.1:{port}", TOKEN))
        # Connected beforehand: the short limit is for the answer, not for a busy machine.
        await api.ask("GET", "/api/v1/nodes")
        monkeypatch.setattr(kubernetes_api, "ANSWER_TIMEOUT_S", CUT_AFTER_S)
        began = time.monotonic()
        with pytest.raises(ManagerFailed) as failed:
            await api.ask("GET", "/api/v1/nodes")
        await api.aclose()
        await asyncio.wait_for(ended.wait(), LIMIT_S)
        await asyncio.sleep(0)
    assert time.monotonic() - began < LIMIT_S
    assert failed.value.kind == "timeout"
    assert TOKEN not in failed.value.reason
