"""Reads over HTTP next to a bare Starlette route that returns the same bytes.

Both run under the same server, one process each, on processors of their own where there are
enough; wrk asks. Rounds alternate between the two, so that what else the machine does hits both.
Run: python -m bench.http (needs wrk).
"""

import asyncio
import os
import re
import signal
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median

import bcrypt
import httpx
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain import fleet, investigation
from domain.event import Act
from domain.fleet import HostRequest, OfferedKey
from domain.host import FactsGathered
from domain.investigation import Subject
from domain.log.recorder import LogRecorder, now
from domain.log.sqlite import SQLiteEngine
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections import hosts
from projections.all import PROJECTIONS
from projections.projection import ReadModels
from projections.reads import reads
from runners.log_lines import LogLines
from runners.server import Server
from runners.vault import Vault
from web.app import application
from web.authentication import Account, Authentication
from web.basic import BasicAuthentication
from web.password_queue import PasswordQueue

ROUNDS = 5
ROUND_S = 2
CONNECTIONS = 32
HOSTS = 10_000
ADDRESS = "10.0.0.1"
AUTHORIZATION = "Basic " + b64encode(b"admin:admin").decode()


class Users:
    """One administrator."""

    def __init__(self) -> None:
        hashed = bcrypt.hashpw(b"admin", bcrypt.gensalt(4))
        self.users = {"admin": Account(hashed, "admin")}


def register(unit: Unit, vault: Vault, address: str) -> None:
    """A host that is set up."""
    key = OfferedKey(b"key", lambda raw: "SHA256:none")
    fleet.register_host(unit, vault, address, HostRequest(key))
    subject = Subject(address, unit.host(address).incarnation)
    facts = FactsGathered("fedora", "40", 4, 11989228, 487652, "boot")
    investigation.settle(unit, subject, facts)


async def serve_api(directory: Path, announce: Callable[[int], None]) -> None:
    """The service's API with many hosts."""
    engine = SQLiteEngine(directory / "bench.db")
    models = ReadModels(PROJECTIONS)
    LogRecorder(engine).create_table()
    models.create_tables(engine)
    engine.execute_schema([hosts.heartbeats_schema(engine.name)])
    vault = Vault(b"k" * 32)
    vault.open(engine)
    writer = Writer(engine, models, timeout_s=600)
    writer.start()
    act = Act("bench", "bench", now())
    addresses = [f"10.{i // 62500}.{i // 250 % 250}.{i % 250 + 1}" for i in range(HOSTS)]
    await asyncio.gather(
        *[
            writer.perform(act, partial(register, vault=vault, address=address))
            for address in addresses
        ]
    )
    lines = LogLines(os.open(directory / "log", os.O_WRONLY | os.O_CREAT))
    authentication = Authentication(BasicAuthentication(Users(), PasswordQueue(20)))
    app = application(
        writer, reads(engine), vault, lambda raw: "SHA256:none", authentication, lines.line
    )
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    announce(server.port)
    await asyncio.Event().wait()


async def serve_bare(bodies: dict[str, bytes], announce: Callable[[int], None]) -> None:
    """Starlette with routes that know their answer."""

    def route(path: str, body: bytes) -> Route:
        async def answer(request: Request) -> Response:
            return Response(body, media_type="application/json")

        return Route(path, answer)

    app = Starlette(routes=[route(path, body) for path, body in bodies.items()])
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    announce(server.port)
    await asyncio.Event().wait()


def start(serve: Callable[[Callable[[int], None]], object]) -> tuple[int, str]:
    """Serve in a process of its own; gives its pid and address."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
            asyncio.run(serve(lambda port: os.write(writer, f"{port}\n".encode()) and None))  # type: ignore[arg-type] # a coroutine
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        port = pipe.readline().strip()
    if not port:
        raise SystemExit("bench: the server did not start")
    return pid, f"http://127.0.0.1:{port}"


def requests_per_second(url: str, *headers: str) -> float:
    """What wrk gets out of it."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S}s"]
    for header in headers:
        command += ["-H", header]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said and "If-None-Match" not in " ".join(headers):
        raise SystemExit(f"bench: not all answers were good:\n{said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(found[1]) if found else 0.0


def compare(name: str, ours: Callable[[], float], bare: Callable[[], float]) -> None:
    """Print both and the ratio of their medians."""
    pairs = [(ours(), bare()) for _ in range(ROUNDS)]
    we, they = (median(column) for column in zip(*pairs, strict=True))
    print(f"{name:<40} {we:>9.0f}/s   bare {they:>9.0f}/s   ratio {we / they:.2f}", flush=True)


def main() -> None:
    """Start both, ask both, stop both."""
    pids = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            api, api_url = start(partial(serve_api, Path(directory)))
            pids.append(api)
            headers = {"Authorization": AUTHORIZATION}
            one, many = f"/api/v0/host/{ADDRESS}", "/api/v0/hosts"
            got = {p: httpx.get(api_url + p, headers=headers, timeout=60) for p in (one, many)}
            bare, bare_url = start(
                partial(serve_bare, {path: answer.content for path, answer in got.items()})
            )
            pids.append(bare)
            credentials = f"Authorization: {AUTHORIZATION}"
            known = f"If-None-Match: {got[many].headers['ETag']}"
            ask = requests_per_second
            for name, path, asked, reference in (
                ("GET /host/{address}", one, [credentials], one),
                (f"GET /hosts, {HOSTS} hosts", many, [credentials], many),
                ("GET /hosts, If-None-Match", many, [credentials, known], one),
            ):
                compare(
                    name,
                    partial(ask, api_url + path, *asked),
                    partial(ask, bare_url + reference, credentials),
                )
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
