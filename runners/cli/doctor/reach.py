"""Whether container managers and sources take connections from here: nothing is asked of them."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from domain.log.engine import Engine
from projections import container_managers
from runners.cli.doctor.finding import Finding, ok, wrong
from runners.settings.settings import Settings
from runners.sources.plugins import WrongSource, open_sources

CONNECTED_S = 5.0
"""So long a server may take to accept a connection."""
PORTS = {"http": 80, "https": 443}


def managers(engine: Engine) -> Iterator[Finding]:
    """Every container manager that has a server."""
    with engine.snapshot() as tx:
        for name in orjson.loads(container_managers.names(tx)):
            answer = container_managers.container_manager(tx, name)
            options = orjson.loads(answer.body)["options"] if answer else {}
            url = options.get("server_url") or options.get("apiserver")
            if url:
                yield from _connected(f"container manager {name}", url)


def sources(settings: Settings) -> Iterator[Finding]:
    """Every source of the settings: its options are right, and its file or server is there."""
    try:
        open_sources(settings.sources, os.environ)
    except WrongSource as refused:
        yield wrong("sources", f"{refused}.", "Mend the table in the file of --config.")
    for name, table in settings.sources.items():
        if isinstance(url := table.get("url"), str):
            yield from _connected(f"source {name}", url)
        elif isinstance(path := table.get("path"), str):
            what = f"source {name}"
            if Path(path).is_file():
                yield ok(what, f"{path} is there.")
            else:
                yield wrong(what, f"There is no file {path}.", "Put it there, or mend its path.")


def _connected(what: str, url: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        yield wrong(what, f"Its URL is none: {error}.", "Mend the URL.")
        return
    where = f"{host}:{port}"
    try:
        socket.create_connection((host, port), CONNECTED_S).close()
    except (OSError, UnicodeError) as error:  # a name may be too long to be looked up
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        yield wrong(what, f"{where} cannot be connected to: {said}.", "See the network between.")
    else:
        yield ok(what, f"{where} takes connections.")
