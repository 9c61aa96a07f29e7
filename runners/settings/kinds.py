"""Kinds of settings: their types, limits, and where they may come from."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic.fields import FieldInfo

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IPv4 addresses as IPv6 writes them (RFC 4291, 2.5.5.2).
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

# A wrong value is quoted in the error, but not a whole file of it.
SHOWN_CHARACTERS_MAX = 60

KIBIBYTE = 1024

MEBIBYTE = 1024 * KIBIBYTE

HOUR_S = 3600.0

DAY_S = 24 * HOUR_S

# For pydantic's kinds of error whose own words are a programmer's.
PLAIN_WORDS = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}

Source = Literal["flag", "variable", "file"]


class Sources(NamedTuple):
    """Where a setting may come from, and what its flag's value is called in the help."""

    metavar: str
    allowed: tuple[Source, ...] = ("flag", "variable", "file")
    several: bool = False
    """A flag that may be repeated, a variable with commas, a list in the file."""


def _split(value: object) -> object:
    """What a variable has between commas."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _network(value: object) -> Network:
    if not isinstance(value, str):
        raise ValueError("must be text such as '10.0.0.0/8'")  # noqa: TRY004 - pydantic's way
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"must be networks such as 10.0.0.0/8 or 2001:db8::/32: {error}") from None
    if network.version == 6 and network.subnet_of(MAPPED):
        raise ValueError("must have IPv4 as IPv4: clients that use it are compared as such")
    if network.prefixlen == 0:
        raise ValueError("must be the proxies alone: everybody could say that they are anybody")
    return network


Count = Annotated[int, Field(ge=1), Sources("COUNT")]


Bytes = Annotated[int, Field(ge=KIBIBYTE), Sources("BYTES")]


Seconds = Annotated[float, Field(gt=0, le=DAY_S, allow_inf_nan=False), Sources("SECONDS")]


OptionalFile = Annotated[Path | None, Sources("FILE")]


Networks = Annotated[
    tuple[Annotated[Network, PlainValidator(_network)], ...],
    BeforeValidator(_split),
    Sources("NETWORK", several=True),
]


Names = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_split),
    Sources("NAME", several=True),
]


def sources(field: FieldInfo) -> Sources:
    """Where a setting may come from; what has no marker of its own is a switch."""
    # The outermost marker is the field's own, what comes with a type is inside of it.
    return next((m for m in field.metadata if isinstance(m, Sources)), Sources(""))


def postgres_url(text: str) -> str:
    """The URL of one PostgreSQL server or of several. Raises ValueError, which never quotes it."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise ValueError("must be a URL that begins with postgresql://")
    try:
        parts = urlsplit("postgresql://" + rest)
        for place in parts.netloc.rpartition("@")[2].split(","):
            # Reading the port is what checks it.
            _ = urlsplit(f"//{place}").port
    except ValueError:
        # Not `from` it: the original error quotes the URL, with its password.
        raise ValueError("must be a URL with a host and a port as in host:5432") from None
    # A password that holds one of these would end early, and be shown as a part of the host.
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("must have the characters / ? # @ of a password percent-encoded")
    _must_be_understood("postgresql://" + rest)
    return "postgresql://" + rest


def _must_be_understood(url: str) -> None:
    """By the driver, which is loaded only where the database is PostgreSQL."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        params = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:  # it quotes what it does not know, which can be a password
        raise ValueError(
            "must have only parameters of PostgreSQL after ?, and a % of a password as %25"
        ) from None
    counts = {params[n].count(",") for n in ("host", "hostaddr", "port") if params.get(n)} - {0}
    if len(counts) > 1:
        raise ValueError("must have one port for all of its hosts, or one for each")
    if not params.get("connect_timeout", "0").isdecimal():
        raise ValueError("must have a whole number of seconds as connect_timeout")
