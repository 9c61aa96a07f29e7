"""Conversations in raw HTTP/1.1 bytes, kept as text files, and how one is held.

A line of a file is one of these:

    # …          says what this is about
    > …          sent, with CRLF at its end
    >| …         sent, without a line end: a body
    < …          comes back, with CRLF at its end
    <| …         comes back, without a line end: a body
    < ?          in a new file: one answer, which is not known yet
    <closed      the other side closes the connection
    connect      what follows is on a new connection (the first one is there already)
    settle A     meanwhile the host with address A was looked at, and set up

The mark is followed by one space, which is not sent. What is sent may have placeholders:

    {KEY}        a private key in base64
    {LENGTH}     how many bytes follow after the head, up to where an answer is waited for
    {ETAG}       the last `ETag` that came

What differs from run to run is replaced in what comes back (`PATTERNS`), and nothing else is.
"""

import os
import re
import socket
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.web.service import WebService

RECORD = bool(os.environ.get("RECORD"))
"""`RECORD=1 pytest tests/old_clients` writes what comes back into the files: read the diff."""

PATTERNS = (
    (rb"(?m)^date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r$", b"date: DATE\r"),
    # A header more since then, of all GETs: old clients pass over what they do not know.
    (rb"(?m)^commissaire-position: [0-9]+\r\n", b""),
    (rb"(?m)^x-request-id: [0-9a-f]{12}-[0-9a-f]+\r$", b"x-request-id: ID\r"),
    (rb'(?m)^etag: W/"[0-9a-f.-]+"\r$', b'etag: W/"TAG"\r'),
    (rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"', b'"TIME"'),
)

BODILESS = re.compile(rb"HTTP/1\.1 (1\d\d|204|304) ")


class Wire:
    """A connection, and what came on it and was not taken yet."""

    def __init__(self, service: WebService) -> None:
        self._socket: socket.socket = service.connect()
        self._came = b""

    def send(self, raw: bytes) -> None:
        """Say something."""
        self._socket.sendall(raw)

    def answer(self, *, to_head: bool) -> bytes:
        """One whole answer; nothing where the connection was closed instead."""
        while b"\r\n\r\n" not in self._came:
            if not self._more():
                assert not self._came, f"a part of an answer: {self._came!r}"
                return b""
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: (\d+)\r?$", head)
        wanted = 0 if to_head or BODILESS.match(head) or not length else int(length[1])
        while len(self._came) < wanted:
            assert self._more(), "the connection closed in the middle of a body"
        body, self._came = self._came[:wanted], self._came[wanted:]
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _more(self) -> bool:
        came = self._socket.recv(65536)
        self._came += came
        return bool(came)


def hold(path: Path, service: WebService, key: str) -> tuple[str, str]:
    """Hold a conversation; gives what should have come back, and what did, in the file's form."""
    expected = path.read_text()
    said: list[str] = []
    wire, tag, heads = Wire(service), "", list[bytes]()
    for kind, lines in blocks(expected):
        match kind:
            case "send":
                raw = sent(lines, key, tag)
                said += lines
                wire.send(raw)
                heads = re.findall(rb"(?m)^([A-Z]+) \S+ HTTP/1\.[01]\r$", raw)
            case "come":
                answers = sum(line.startswith(("< HTTP/", "< ?")) for line in lines)
                for index in range(answers):
                    answer = wire.answer(to_head=heads[index : index + 1] == [b"HEAD"])
                    found = re.search(rb"(?m)^etag: (.*)\r$", answer)
                    tag = found[1].decode() if found else tag
                    said += shown(answer)
                if "<closed" in lines:
                    rest = wire.answer(to_head=False)
                    said += shown(rest) or ["<closed"]
            case "connect":
                wire.close()
                wire = Wire(service)
                said += lines
            case "settle":
                for line in lines:
                    service.settle(line.removeprefix("settle "))
                said += lines
            case _:
                said += lines
    wire.close()
    actual = "\n".join(said) + "\n"
    return expected, actual


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """The lines of a file, in groups of one kind."""
    for kind, lines in groupby(text.splitlines(), kind_of):
        yield kind, list(lines)


def kind_of(line: str) -> str:
    """What a line is."""
    if line.startswith(">"):
        return "send"
    if line.startswith("<"):
        return "come"
    if line == "connect" or line.startswith("settle "):
        return line.split()[0]
    assert not line or line.startswith("#"), f"what is this? {line!r}"
    return "comment"


def sent(lines: list[str], key: str, tag: str) -> bytes:
    """The bytes of `>` lines."""
    text = ""
    for line in lines:
        text += line[3:] if line.startswith(">|") else f"{line[2:]}\r\n"
    text = text.replace("{KEY}", key).replace("{ETAG}", tag)
    body = text.partition("\r\n\r\n")[2].encode()
    return text.replace("{LENGTH}", str(len(body))).encode()


def shown(answer: bytes) -> list[str]:
    """An answer as `<` lines, without what differs from run to run."""
    for pattern, instead in PATTERNS:
        answer = re.sub(pattern, instead, answer)
    *lines, body = answer.decode().split("\r\n")
    return [f"< {line}".rstrip() for line in lines] + ([f"<| {body}"] if body else [])
