"""An inventory over HTTP: a real server that answers well, badly, and not at all."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runners.sources.http_source import ANSWER_BYTES_MAX, HttpSource
from runners.sources.source import NoAnswer, WrongOptions

A = "10.0.0.1"


class Inventory:
    """Answers every request with `answer`, byte by byte as it is, and keeps what was asked."""

    def __init__(self) -> None:
        self.answer = b""
        self.endless = b""
        self.sent = 0
        self.asked: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a port that is free."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def says(self, body: bytes, status: str = "200 OK", *more: str) -> None:
        """What it answers from now on."""
        head = "".join(f"{line}\r\n" for line in more)
        size = len(body)
        self.answer = f"HTTP/1.1 {status}\r\n{head}Content-Length: {size}\r\n\r\n".encode() + body

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            await writer.drain()
            while self.endless:
                writer.write(self.endless)
                await writer.drain()
                self.sent += len(self.endless)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asked has heard enough
        finally:
            writer.close()


@pytest_asyncio.fixture
async def inventory() -> AsyncIterator[Inventory]:
    """A server that runs."""
    server = Inventory()
    await server.start()
    yield server
    await server.stop()


def options(inventory: Inventory, **more: object) -> dict[str, object]:
    return {"url": f"http://127.0.0.1:{inventory.port}/hosts/{{address}}?full=1", **more}


async def ask(
    inventory: Inventory,
    address: str = A,
    environ: dict[str, str] | None = None,
    **more: object,
) -> object:
    source = HttpSource.open(options(inventory, **more), environ or {})
    try:
        return await source.facts(address)
    finally:
        await source.aclose()


async def test_it_is_asked_for_one_host_and_its_answer_is_mapped(inventory: Inventory) -> None:
    inventory.says(b'{"hw": {"mem_mb": 16, "cpu": 4}, "os": "fedora", "status": "active"}')
    fields = {"os": "os", "memory": {"path": "hw.mem_mb", "factor": 1024}}
    assert await ask(inventory, fields=fields) == {"os": "fedora", "memory": 16384}
    assert inventory.asked[0].startswith("GET /hosts/10.0.0.1?full=1 HTTP/1.1\r\n")


async def test_an_ipv6_address_is_one_segment_of_the_path(inventory: Inventory) -> None:
    inventory.says(b"{}")
    await ask(inventory, "2001:db8::1")
    assert inventory.asked[0].startswith("GET /hosts/2001%3Adb8%3A%3A1?full=1 ")


async def test_headers_come_from_files_and_variables_as_they_are_now(
    inventory: Inventory, tmp_path: Path
) -> None:
    inventory.says(b"{}")
    token = tmp_path / "token"
    token.write_text("first\n")
    headers = {
        "Authorization": {"file": str(token), "prefix": "Bearer "},
        "X-Tenant": {"variable": "TENANT"},
    }
    source = HttpSource.open(options(inventory, headers=headers), {"TENANT": "blue"})
    await source.facts(A)
    token.write_text("second\n")
    await source.facts(A)
    assert "\r\nauthorization: bearer first\r\n" in inventory.asked[0].lower()
    assert "\r\nx-tenant: blue\r\n" in inventory.asked[0].lower()
    assert "\r\nauthorization: bearer second\r\n" in inventory.asked[1].lower()
    token.write_text("se\ncret")
    with pytest.raises(NoAnswer, match="printable") as failure:
        await source.facts(A)
    assert "cret" not in str(failure.value)
    await source.aclose()


async def test_an_answer_that_repeats_a_header_is_not_quoted(
    inventory: Inventory, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    headers = {"Authorization": {"file": str(token), "prefix": "Bearer "}}
    for body in (b'{"cpus": "Bearer s3cret"}', b'{"os": "no such token: s3cret"}'):
        inventory.says(body)
        with pytest.raises(NoAnswer, match="repeats a header") as failure:
            await ask(inventory, headers=headers)
        assert "s3cret" not in str(failure.value)
    inventory.says(b'{"cpus": 4, "note": "s3cret"}')
    assert await ask(inventory, headers=headers, fields={"cpus": "cpus"}) == {"cpus": 4}


@pytest.mark.parametrize(
    "head", ["Content-Length: 1073741824", "X: y", "Content-Length: 1073741824\r\nX: y"]
)
async def test_a_gigabyte_is_given_up_after_the_limit(inventory: Inventory, head: str) -> None:
    inventory.answer = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode()
    inventory.endless = b" " * 65536
    with pytest.raises(NoAnswer, match="longer than"):
        await ask(inventory)
    # What buffers on the way may have taken besides.
    assert inventory.sent < ANSWER_BYTES_MAX + 32 * 1024 * 1024


async def test_an_endless_head_is_given_up(inventory: Inventory) -> None:
    inventory.answer = b"HTTP/1.1 200 OK\r\n"
    inventory.endless = b"X: y\r\n" * 10_000
    with pytest.raises(NoAnswer, match="The exchange failed"):
        await ask(inventory)


async def test_nothing_compressed_is_asked_for_or_unpacked(inventory: Inventory) -> None:
    inventory.says(gzip.compress(b" " * 50_000_000), "200 OK", "Content-Encoding: gzip")
    with pytest.raises(NoAnswer, match="encoded as 'gzip'"):
        await ask(inventory)
    assert "\r\naccept-encoding: identity\r\n" in inventory.asked[0].lower()


@pytest.mark.parametrize(
    "location", ["/elsewhere", "file:///etc/hostname", "http://127.0.0.1:9/", "//x", "\t"]
)
async def test_no_redirect_is_followed(inventory: Inventory, location: str) -> None:
    inventory.says(b"{}", "307 Elsewhere", f"Location: {location}")
    with pytest.raises(NoAnswer, match=r"It answered 307\."):
        await ask(inventory)
    assert len(inventory.asked) == 1


@pytest.mark.parametrize("body", [b"7", b'"text"', b"[]", b"null", b"true", b'{"hw": [1]}'])
async def test_json_of_another_shape_says_nothing(inventory: Inventory, body: bytes) -> None:
    inventory.says(body)
    assert await ask(inventory, fields={"cpus": "hw.cpus"}) == {"cpus": None}


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
async def test_a_host_that_is_not_there_is_an_answer(inventory: Inventory, status: str) -> None:
    inventory.says(b"no such host", status)
    assert await ask(inventory) is None


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{}", "500 Oops", "It answered 500."),
        (b"{}", "401 Who", "It answered 401."),
        (b"", "204 Nothing", "It answered 204."),
        (b"", "302 Elsewhere", "It answered 302."),
        (b"<html>", "200 OK", "Its answer is no JSON."),
        (b"\xff", "200 OK", "Its answer is no JSON."),
        (b"[" * 100_000, "200 OK", "Its answer is no JSON."),
        (b" " * (ANSWER_BYTES_MAX + 1), "200 OK", "longer than"),
        (b'{"cpus": "many"}', "200 OK", "cpus is 'many'"),
    ],
)
async def test_everything_else_is_a_failure_that_says_what_came(
    inventory: Inventory, body: bytes, status: str, reason: str
) -> None:
    inventory.says(body, status, "Location: /elsewhere")
    with pytest.raises(NoAnswer, match=reason):
        await ask(inventory)
    assert len(inventory.asked) == 1  # a redirect is not followed


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_what_is_no_http_is_a_failure(inventory: Inventory, answer: bytes) -> None:
    inventory.answer = answer
    with pytest.raises(NoAnswer, match="The exchange failed"):
        await ask(inventory)


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    server = Inventory()
    await server.start()
    await server.stop()
    with pytest.raises(NoAnswer, match="cannot be reached"):
        await ask(server)


async def test_no_proxy_of_the_environment_is_asked(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.says(b"{}")
    monkeypatch.setitem(os.environ, "HTTP_PROXY", "http://127.0.0.1:9")
    assert await ask(inventory) is not None


@pytest.mark.parametrize(
    "url",
    [
        *("", "hosts", "http://x/", "http://x/{address}/{address}", "http://x/{name}/{address}"),
        *("ftp://x/{address}", "http:///{address}", "http://{address}/", "http://x.{address}/"),
        *("http://user:pass@x/{address}", "http://x:99999/{address}", "http://x/#{address}"),
        *("http://x/{address} HTTP/1.1", "http://x/{address}\r\nX: y", "http://ü/{address}"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="url") as refused:
        HttpSource.open({"url": url}, {})
    assert "pass@" not in str(refused.value)


@pytest.mark.parametrize(
    "header",
    [
        *("s3cret", {}, {"file": "/x", "variable": "X"}, {"value": "s3cret"}),
        *({"variable": "UNSET"}, {"file": "/there/is/none"}, {"variable": "BAD"}),
    ],
)
def test_a_header_is_never_in_the_settings_and_its_place_must_be_there(header: object) -> None:
    given = {"url": "http://x/{address}", "headers": {"X-Token": header}}
    with pytest.raises(ValueError, match=r"X-Token") as refused:
        HttpSource.open(given, {"BAD": "s3cret\nX: y"})
    assert "s3cret" not in str(refused.value)


def test_a_file_of_certificates_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no certificate")
    for name in ("ca", "none"):
        given = {"url": "https://x/{address}", "ca_file": str(tmp_path / name)}
        with pytest.raises(WrongOptions, match="ca_file"):
            HttpSource.open(given, {})
