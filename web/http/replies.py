"""Answers: bytes that are ready, headers that are constant, and validators (ETag)."""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response

from projections.hosts import Answer

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
# A browser must not guess another type than the one that is said.
NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
# Nor run, load or frame anything, should it be made to show an answer as a page.
INERT: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE: Header = (b"cache-control", b"no-store")
# May be kept, but is asked about before each use: what was answered last is always seen.
REVALIDATE: Header = (b"cache-control", b"private, no-cache")

UNSTORED = (JSON, NO_STORE, NOSNIFF, INERT)
STORED = (JSON, REVALIDATE, NOSNIFF, INERT)

EMPTY_LIST = b"[]"
DIGEST_BYTES = 8

ENTITY_TAG = re.compile(rb'(?:W/)?"([^"]*)"')


class SentAnswer(NamedTuple):
    """A whole answer, its headers as they are sent."""

    status: int
    head: bytes
    body: bytes


def as_sent(response: Response) -> SentAnswer:
    """What is sent of an answer that is ready."""
    return SentAnswer(response.status_code, joined(response.raw_headers), bytes(response.body))


def joined(headers: Iterable[Header]) -> bytes:
    """Headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Reply(Response):
    """An answer whose body and headers are ready to be sent."""

    def __init__(
        self, body: bytes, status: int = 200, headers: Sequence[Header] = UNSTORED
    ) -> None:
        # Not `super().__init__`: it would work out headers that are known, for each answer.
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]


def created(body: bytes) -> Reply:
    """Success of a PUT."""
    return Reply(body, 201)


def deleted() -> Reply:
    """Success of a DELETE."""
    return Reply(EMPTY_LIST)


def json_body(content: object) -> bytes:
    """Plain JSON values as bytes."""
    return orjson.dumps(content)


def answered(request: Request, answer: Answer) -> Reply:
    """What was asked for with its ETag, or 304 where the client has it already."""
    return unchanged(request, answer.tag) or Reply(
        answer.body, 200, (*STORED, (b"etag", b'W/"%b"' % answer.tag.encode()))
    )


def digested(request: Request, body: bytes) -> Reply:
    """A body with its digest as `ETag`, or 304 where the client has it already."""
    return tagged(request, body, STORED)


def tagged(request: Request, body: bytes, headers: Sequence[Header]) -> Reply:
    """A body with these headers and its digest as `ETag`, or 304."""
    tag = blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
    etag: Header = (b"etag", b'W/"%b"' % tag.encode())
    return unchanged(request, tag) or Reply(body, 200, [*headers, etag])


def unchanged(request: Request, tag: str) -> Reply | None:
    """304, where `If-None-Match` has this tag (weak comparison, RFC 9110 13.1.2)."""
    for name, value in request.scope["headers"]:
        if name == b"if-none-match" and _has(value, tag.encode()):
            return _not_modified(tag)
    return None


def _has(header: bytes, tag: bytes) -> bool:
    return header.strip() == b"*" or tag in ENTITY_TAG.findall(header)


def _not_modified(tag: str) -> Reply:
    reply = Reply(b"", 304)
    reply.raw_headers = [(b"etag", b'W/"%b"' % tag.encode()), REVALIDATE, NOSNIFF, INERT]
    return reply
