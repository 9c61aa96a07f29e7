"""Pages as a browser without script sees them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser

import httpx

from tests.web.service import TIMEOUT_S, WebService

Fields = Mapping[str, str | list[str]]


class Page(HTMLParser):
    """The links, forms and tags of a page; `tags` has each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """What is read, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        """The pages that it leads to."""
        return [of["href"] for tag, of in self.tags if tag == "a" and "href" in of]

    def fields(self, action: str) -> dict[str, str]:
        """What is filled in already in the form with this action."""
        found: dict[str, str] = {}
        is_in = False
        for tag, of in self.tags:
            if tag == "form":
                is_in = of.get("action") == action
            elif tag == "input" and is_in and of.get("type") != "checkbox":
                found.setdefault(of.get("name", ""), of.get("value", ""))
        return found


class Browser:
    """Somebody who has logged in by the form, follows links and sends forms."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self.client = client
        self.url = url

    def see(self, path: str) -> Page:
        """A page that is there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-600:])
        return Page(answer.text)

    def send(self, path: str, action: str, fields: Fields | None = None) -> httpx.Response:
        """Fill a form of a page, and send it."""
        filled: Fields = self.see(path).fields(action) | dict(fields or {})
        return self.post(action, filled)

    def post(self, action: str, fields: Fields) -> httpx.Response:
        """Send a form as browsers do."""
        return self.client.post(action, data=fields, headers={"origin": self.url})


@contextmanager
def browsing(service: WebService, user: str = "admin") -> Iterator[Browser]:
    """A browser in which somebody has logged in."""
    with httpx.Client(base_url=service.url, timeout=TIMEOUT_S) as client:
        browser = Browser(client, service.url)
        opened = browser.post("/login", {"user": user, "password": user, "next": "/"})
        assert opened.status_code == 303, opened.text
        yield browser
