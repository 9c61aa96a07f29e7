"""Templates become pages: what all of them show, the headers that all have, problems as pages."""

import re
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from web.authentication.sessions import session_of
from web.console.frame import words
from web.console.frame.static_files import HashedFiles
from web.http.problems import KINDS, Problem
from web.http.query_string import parameters
from web.http.requests import Request

TEMPLATES = Path(__file__).parent.parent / "templates"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: with that, browsers send forms without their origin.
    "referrer-policy": "same-origin",
}
ASKS_LOG_IN = ("unauthenticated", "session_ended")
SEE_OTHER = 303
PAGE_OF_OURS = re.compile(r"/(?![/\\])[!-~]*")
"""Where a log-in may lead: to no other service, however a browser reads it."""


class Pages:
    """Shows templates to whoever asks."""

    def __init__(self, static: HashedFiles) -> None:
        env = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        env.filters |= {
            "state": words.state,
            "word": words.word,
            "size": words.size,
            "value": words.value,
            "exact": words.exact,
            "span": words.span,
            "short": words.short,
            "text_content": words.text_content,
            "path": partial(quote, safe=""),
        }
        env.globals |= {"static": static.address, "version": version("commissaire")}
        self._templates = Jinja2Templates(env=env)

    # Any: what a template shows.
    def show(self, request: Request, name: str, status: int = 200, **shown: Any) -> Response:
        """A page, with what every page shows."""
        context = _common(request) | shown
        return self._templates.TemplateResponse(
            request, name, context, status_code=status, headers=HEADERS
        )

    def fragment(self, request: Request, name: str, **shown: Any) -> str:
        """A part of a page, as markup."""
        return self._templates.get_template(name).render(_common(request) | shown)

    def problem(self, request: Request, problem: Problem) -> Response:
        """What went wrong, as a page; whoever is not logged in may do that."""
        if problem.kind in ASKS_LOG_IN and request.method == "GET":
            target = request.scope["path"]
            if query := request.scope["query_string"].decode("latin-1"):
                target = f"{target}?{query}"
            asked = urlencode({"next": target})
            ended = "&ended=1" if problem.kind == "session_ended" else ""
            return see_other(f"/login?{asked}{ended}")
        kind = KINDS[problem.kind]
        reply = self.show(request, "problem.html", kind.status, title=kind.title, problem=problem)
        for name, value in (*kind.headers, *problem.headers):
            if name != b"www-authenticate":
                reply.headers[name.decode()] = value.decode()
        return reply


def local(target: str) -> str:
    """The page that is to be gone on to: one of ours."""
    return target if PAGE_OF_OURS.fullmatch(target) else "/"


def see_other(path: str) -> Response:
    """Go on to another page."""
    return RedirectResponse(path, SEE_OTHER, {"cache-control": "no-store"})


def past(request: Request) -> dict[str, str]:
    """`at`, as the page was asked for, for what it asks of the API; empty where it was not."""
    at = parameters(request.scope["query_string"], ("at",)).get("at", "")
    return {"at": at} if at else {}


def with_query(request: Request, **changed: str | None) -> str:
    """The address of this page with some of its query changed; None leaves one out."""
    pairs = parse_qsl(request.scope["query_string"].decode("ascii", "replace"))
    kept = [(name, value) for name, value in pairs if name not in changed]
    kept += [(name, value) for name, value in changed.items() if value is not None]
    query = urlencode(kept)
    return f"{request.scope['path']}?{query}" if query else str(request.scope["path"])


# Any: what templates show.
def _common(request: Request) -> dict[str, Any]:
    """What every page shows."""
    now = request.app.state.now()
    who, session = request.identity, session_of(request.scope)
    return {
        "me": who,
        "may_operate": who.may_act_as("operator"),
        "may_administer": who.may_act_as("admin"),
        "csrf_token": session.csrf_token if session else "",
        "now": now,
        "ago": partial(words.ago, now=now),
        "clock": partial(words.clock, now=now),
        "path": request.scope["path"],
        "at": "",
        "to": "",
        "x_to": 0,
        "slider": None,
        "map": "",
        "is_news": False,
        "output_source": "",
        "has_past": False,
        "view": "",
        "with_query": partial(with_query, request),
    }
