"""Lists in pages: `Link` has the address of the next one, `limit` and `after` are in the query."""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from projections.operation_reads import Page
from web.http.replies import STORED, Header, Reply, tagged


def paged(request: Request, page: Page) -> Reply:
    """A page with its digest as `ETag`, and the link to the next one."""
    headers = [*STORED]
    if page.next is not None:
        headers.append(link_to(request, str(page.next)))
    return tagged(request, page.body, headers)


def link_to(request: Request, after: str) -> Header:
    """The link to the page that begins after a place, with the rest of the query as it was."""
    pairs = parse_qsl(request.scope["query_string"].decode("ascii"), keep_blank_values=True)
    pairs = [pair for pair in pairs if pair[0] != "after"]
    query = urlencode([*pairs, ("after", after)])
    return b"link", f'<{request.scope["path"]}?{query}>; rel="next"'.encode()
