"""Who answers is no Commissaire, or something in between answers in its place."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from commctl.main import run

PAGE = "<!DOCTYPE HTML>\n<html><body><h1>\x1b[2J It works</h1></body></html>"
ANSWERS = {
    "page": (200, "text/html", PAGE),
    "missing": (404, "text/html", PAGE),
    "gateway": (502, "text/html", PAGE),
    "broken": (200, "application/json", "{"),
    "other": (200, "application/json", "{}"),
    "list": (200, "application/json", "[1]"),
    "problem": (418, "application/json", '{"detail": null}'),
}
"""By the first part of the path: status, type and body."""


class Stranger(BaseHTTPRequestHandler):
    """Answers anything."""

    def do_GET(self) -> None:
        """Or any other method."""
        status, form, body = ANSWERS[self.path.split("/")[1]]
        self.send_response(status)
        self.send_header("Content-Type", form)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - as the library names them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("what", ANSWERS)
def test_a_stranger_is_told_in_a_sentence(
    stranger: str,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("a-token-of-nobody")
    common = ("--token-file", str(token))
    assert run(["login", f"{stranger}/{what}", *common]) == 1
    said = capsys.readouterr().err
    assert "Commissaire" in said
    assert "<" not in said
    assert not (tmp_path / ".config").exists()
    if what not in ("other", "list"):  # JSON that is well-formed cannot be told everywhere
        for command in (["status"], ["host", "list"], ["op", "watch"], ["cluster", "create", "x"]):
            assert run([*command, "-s", f"{stranger}/{what}", *common]) == 1
            told = capsys.readouterr()
            assert f"{stranger}/{what} answers {ANSWERS[what][0]}" in told.err + told.out


def test_http_where_tls_is_meant_is_said(
    stranger: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["status", "-s", stranger.replace("http:", "https:")]) == 6
    said = capsys.readouterr().err
    assert "is it an http:// address?" in said
    assert "_ssl.c" not in said
    assert "Errno" not in said
