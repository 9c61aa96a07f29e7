"""An inventory that answers over HTTP with a JSON record for each host."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import quote, urlsplit

import httpx
import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runners.os_support.bounded_body import PLAIN, UnusableAnswer, body_of
from runners.os_support.shared_read import SharedRead
from runners.os_support.trust import trust_in
from runners.sources.field_mapping import SAME_NAMES, MappedFields
from runners.sources.source import NoAnswer, WrongOptions, checked

ANSWER_BYTES_MAX = 1024 * 1024
SECRET_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 100
ADDRESS = "{address}"
GONE = (404, 410)
"""Statuses that mean that there is no such host."""


def _url(template: str) -> str:
    if template.count(ADDRESS) != 1 or "{" in template.replace(ADDRESS, ""):
        raise ValueError("must have {address} in it once, and no other braces")
    try:
        parts = urlsplit(template)
        _ = parts.port  # reading it is what checks it
    except ValueError:
        raise ValueError("must be a URL with a host and a port as in host:8080") from None
    printable = template.isascii() and template.isprintable() and " " not in template
    if parts.scheme not in ("http", "https") or not parts.hostname or not printable:
        raise ValueError("must be a URL that begins with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must have no user or password: give a header whose value is in a file")
    if ADDRESS in parts.netloc or ADDRESS in parts.fragment:
        raise ValueError("must have {address} in its path or query")
    return template


class HeaderValue(BaseModel):
    """The place of a header's value, which may be a secret: a `file` or a `variable`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    file: Path | None = None
    variable: str | None = None
    prefix: str = ""
    """Text before the value that is no secret, such as `Bearer `."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.file is None) == (self.variable is None):
            raise ValueError("must have either file or variable")
        return self


def _header_names(headers: dict[str, HeaderValue]) -> dict[str, HeaderValue]:
    for name in headers:
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError("must have names of headers as its keys")
    return headers


class HttpOptions(BaseModel):
    """`url` with `{address}` in it, `headers`, `ca_file`, and `fields` of the record."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_url)]
    headers: Annotated[dict[str, HeaderValue], AfterValidator(_header_names)] = Field(
        default_factory=dict
    )
    ca_file: Path | None = None
    fields: MappedFields = Field(SAME_NAMES)


class HttpSource:
    """Sends one GET for each host. Redirects are not followed: headers may be secrets."""

    def __init__(
        self, options: HttpOptions, variables: Mapping[str, str], trust: ssl.SSLContext
    ) -> None:
        self._options = options
        self._variables = variables
        self._read_values = SharedRead(self._values)
        self._client = httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - who asks gives up in time
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        )

    @classmethod
    def open(cls, options: Mapping[str, object], environ: Mapping[str, str]) -> Self:
        """A source from its options, whose files and variables must exist."""
        said = HttpOptions.model_validate(options)
        variables = {}
        for name, value in said.headers.items():
            try:
                if value.variable is not None:
                    variables[value.variable] = environ[value.variable]
                _value(value, environ)
            except KeyError:
                raise WrongOptions(f"headers.{name}: {value.variable} is not set") from None
            except NoAnswer as wrong:
                raise WrongOptions(f"headers.{name}: {wrong}") from None
        try:
            trust = trust_in(said.ca_file)
        except OSError as error:
            raise WrongOptions(f"ca_file: {said.ca_file}: {error.strerror or error}") from None
        return cls(said, variables, trust)

    async def facts(self, address: str) -> Mapping[str, object] | None:
        """The facts that the inventory has of a host."""
        url = self._options.url.replace(ADDRESS, quote(address, safe=""))
        values = await self._read_values()
        headers = httpx.Headers(PLAIN)
        for name, value in values.items():
            headers[name] = self._options.headers[name].prefix + value
        try:
            async with self._client.stream("GET", url, headers=headers) as answer:
                if answer.status_code in GONE:
                    return None
                if answer.status_code != 200:
                    raise NoAnswer(f"It answered {answer.status_code}.")
                body = await body_of(answer, ANSWER_BYTES_MAX)
        except UnusableAnswer as unusable:
            raise NoAnswer(f"Its answer {unusable}") from None
        except httpx.ConnectError as error:
            raise NoAnswer(f"It cannot be reached: {error}.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Not its text, which may quote a header.
            raise NoAnswer(f"The exchange failed: {type(error).__name__}.") from None
        try:
            facts = self._options.fields.read(_json(body))
            checked("", facts)
        except NoAnswer:
            if any(value.encode() in body for value in values.values()):
                raise NoAnswer(
                    "Its answer makes no sense; it is not shown, because it repeats a header."
                ) from None
            raise
        return facts

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def _values(self) -> dict[str, str]:
        return {
            name: _value(value, self._variables) for name, value in self._options.headers.items()
        }


def _value(value: HeaderValue, variables: Mapping[str, str]) -> str:
    """The current value of a header, without its prefix. Raises `NoAnswer`."""
    if value.file is None:
        text = variables[value.variable or ""]
    else:
        try:
            with value.file.expanduser().open("rb") as file:
                text = file.read(SECRET_BYTES_MAX).decode("ascii").strip()
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise NoAnswer(f"{value.file} cannot be read: {why}") from None
    whole = value.prefix + text
    if not whole.isascii() or not whole.isprintable() or not text.strip():
        raise NoAnswer("its value is not one line of printable characters")
    return text


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except ValueError:
        raise NoAnswer("Its answer is no JSON.") from None
