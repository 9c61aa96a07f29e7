"""httptools' parser of requests, which loses no body.

llhttp (httptools 0.9) takes what follows a head with `Upgrade` for the other protocol and drops
the body, though the server is free to decline (RFC 9110, 7.8): `curl --http2` and Java's client
offer h2c with every request. Here an offer is declined: the same head is parsed once more without
it, and what follows is the body.
"""

from typing import Protocol

import httptools


class Connection(Protocol):
    """Who is told what was parsed; `url` and `headers` are of the head that is parsed now."""

    url: bytes
    headers: list[tuple[bytes, bytes]]

    def on_message_begin(self) -> None:
        """A request begins."""

    def on_url(self, url: bytes) -> None:
        """A part of its target."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or a trailer."""

    def on_headers_complete(self) -> None:
        """The head ends."""

    def on_body(self, body: bytes) -> None:
        """A part of the body."""

    def on_message_complete(self) -> None:
        """The request ends."""


class RequestParser:
    """Parses one connection. Only CONNECT ends in `HttpParserUpgrade`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begin()

    def _begin(self) -> None:
        self._declining = False  # the head has an offer, or is parsed once more without it
        self._chunk_is_empty = False
        self._parser = httptools.HttpRequestParser(self)
        # As uvicorn has it: a request after `Connection: close` does not cost the answer.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.get_method = self._parser.get_method
        self.get_http_version = self._parser.get_http_version
        self.should_keep_alive = self._parser.should_keep_alive
        self.should_upgrade = self._parser.should_upgrade

    def feed_data(self, data: bytes) -> None:
        """Parse it. Raises `HttpParserError`; `HttpParserUpgrade` after CONNECT."""
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                if not self._declining:
                    raise
                data = self._head_without_offer() + data[stop.args[0] :]
                self._begin()
                self._declining = True
            else:
                return

    def expect_nothing_after_close(self) -> None:
        """What follows the last request is an error: a body that nobody announced."""
        self._parser.set_dangerous_leniencies(lenient_data_after_close=False)

    def close(self) -> None:
        """Nothing more will come. Breaks the cycle of parser and callbacks."""
        del self._parser, self.get_method, self.get_http_version
        del self.should_keep_alive, self.should_upgrade

    def _head_without_offer(self) -> bytes:
        version = self.get_http_version().encode()
        line = b"%b %b HTTP/%b" % (self.get_method(), self._connection.url, version)
        fields = [b"%b: %b" % field for field in self._connection.headers if field[0] != b"upgrade"]
        return b"\r\n".join([line, *fields, b"", b""])

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        """A request begins, or its head is parsed once more."""
        self._chunk_is_empty = False
        if not self._declining:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        if not self._declining:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or a trailer."""
        if not self._declining:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head ends. With an offer in it, all of it will be parsed once more."""
        self._declining = self.should_upgrade() and self.get_method() != b"CONNECT"
        if not self._declining:
            self._connection.on_headers_complete()

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._chunk_is_empty = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._chunk_is_empty = False
        self._connection.on_body(body)

    def on_message_complete(self) -> None:
        """The request ends; a chunked body with its empty chunk, or it is not whole."""
        if self._declining:
            return
        chunked = any(name == b"transfer-encoding" for name, _ in self._connection.headers)
        if chunked and not self._chunk_is_empty and self.get_method() != b"CONNECT":
            raise ValueError("a chunked body without its end")  # which ends the parser
        self._connection.on_message_complete()
