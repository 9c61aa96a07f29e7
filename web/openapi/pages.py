"""`/openapi.json`, and `/docs`: a page on which people read it.

The page is Swagger UI, from the package `swagger-ui-bundle-v2`, served by ourselves; its content
security policy lets it load nothing from anywhere else.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from web.http.replies import (
    DIGEST_BYTES,
    NOSNIFF,
    REVALIDATE,
    Header,
    Reply,
    digested,
    json_body,
    unchanged,
)
from web.http.requests import Request
from web.openapi import document
from web.routing.description import reads
from web.routing.route import Handler, Route
from web.schemas.records import Text

PACKAGE = "swagger_ui_bundle"
OURS = "viewer"

MEDIA_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
"""Every file of the viewer that is served."""

PAGE = "index.html"

POLICY: Header = (
    b"content-security-policy",
    # `data:`: the icons in the viewer's style sheet.
    b"; ".join(
        (
            b"default-src 'none'",
            b"script-src 'self'",
            b"style-src 'self'",
            b"img-src 'self' data:",
            b"connect-src 'self'",
            b"base-uri 'none'",
            b"form-action 'none'",
            b"frame-ancestors 'none'",
        )
    ),
)
NO_REFERRER: Header = (b"referrer-policy", b"no-referrer")


class ViewerFile(NamedTuple):
    """A file of the viewer, as it is served."""

    body: bytes
    tag: str
    headers: Sequence[Header]


class SelfDescription:
    """The handlers of `/openapi.json` and `/docs`. `routes` is set once all of them are known."""

    def __init__(self) -> None:
        self.routes: Sequence[Route] = ()
        self._document: bytes | None = None

    async def document(self, request: Request) -> Reply:
        """This description: every route, OpenAPI 3.1."""
        if self._document is None:
            self._document = await asyncio.to_thread(self._made)
        return digested(request, self._document)

    def pages(self) -> Iterator[Route]:
        """The page for people, and each file that it needs."""
        for name, media_type in MEDIA_TYPES.items():
            path = "/docs" if name == PAGE else f"/docs/{name}"
            described = reads(Text, media_type=media_type)
            yield Route("GET", path, "viewer", _served(name), described)

    def _made(self) -> bytes:
        return json_body(document.document(self.routes))


def _served(name: str) -> Handler:
    async def show(request: Request) -> Reply:
        found = await asyncio.to_thread(_read, name)
        return unchanged(request, found.tag) or Reply(found.body, headers=found.headers)

    is_page = name == PAGE
    show.__doc__ = (
        "This description, on a page for people." if is_page else "A file that the page needs."
    )
    return show


@cache
def _read(name: str) -> ViewerFile:
    body = _place(name).read_bytes()
    tag = blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
    named = (b"content-type", MEDIA_TYPES[name].encode())
    validator = (b"etag", b'W/"%b"' % tag.encode())
    return ViewerFile(body, tag, (named, validator, REVALIDATE, NOSNIFF, POLICY, NO_REFERRER))


def _place(name: str) -> Traversable:
    ours = files("web.openapi") / OURS / name
    if ours.is_file():
        return ours
    # The package has one folder, whose name has the version of Swagger UI in it.
    (folder,) = (files(PACKAGE) / "vendor").iterdir()
    return folder / name
