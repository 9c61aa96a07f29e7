"""What `/openapi.json` promises holds for requests that nobody would think of.

schemathesis makes them from the document, right ones and wrong ones, alone and one after the other,
and checks each answer: no status, header, type or record that is not described, nothing wrong
accepted and nothing right refused, no credentials ignored, no 5xx. `SEED=… pytest` runs others.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import randbelow
from threading import Event
from typing import NamedTuple

import pytest

from domain.commands import operation_commands
from domain.commands.credentials import Login
from domain.refusal import Refusal
from projections.beside_the_log.webhook_deliveries import Attempt
from projections.operation_reads import unfinished
from tests.web.service import WebService, base64_of, new_key
from web.middleware import matched_path
from web.resources.credentials import Trust

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
SEED = os.environ.get("SEED")
LIMIT_S = 900

OPERATION_S = 0.5
"""For so long an operation is in process."""

NOT_ASKED = {"GET /api/v0/events/stream"}
"""Turned off in schemathesis.toml: a stream does not end."""


async def lets_everybody_in(login: Login, private_key: bytes, trust: Trust) -> None:
    """Instead of SSH to addresses that were made up."""


async def sends_nothing(name: str) -> Attempt | None:
    """Instead of a message to a URL that was made up."""
    at = "2026-01-02T03:04:05.000006"
    return Attempt(at, 0, "webhook.test", f"webhook/{name}", 204, 1, "")


class Answered(NamedTuple):
    """A request, and the status of its answer."""

    method: str
    path: str
    status: int


@pytest.fixture
def keys(service: WebService) -> list[str]:
    """Private keys for the requests; a fleet that has hosts of the first one is there."""
    service.try_login = lets_everybody_in
    service.try_webhook = sends_nothing
    keys = [base64_of(new_key()) for _ in range(2)]
    with service.client() as client:
        for path in ("/cluster/web", "/network/db"):
            assert client.put(path).status_code == 201
        trivial = {"type": "trivial"}
        assert client.put("/containermanager/web", json=trivial).status_code == 201
        for address in ("10.0.0.7", "10.0.0.8"):
            body = {"ssh_priv_key": keys[0], "cluster": "web"}
            assert client.put(f"/host/{address}", json=body).status_code == 201
            service.settle(address)
    return keys


@contextmanager
def operations_end(service: WebService) -> Iterator[None]:
    """Cancel each operation that is begun, before it comes to a host, as no runner is there.

    While one is in process, its cluster and its hosts stay: all of them, whichever is begun first.
    """
    over = Event()

    def run() -> None:
        while not over.wait(OPERATION_S):
            with service.engine.snapshot() as tx:
                begun = unfinished(tx)
            for name in begun:
                with suppress(Refusal):  # it has gone with its cluster
                    service.perform(partial(operation_commands.steer, name=name, wish="cancelled"))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            over.set()
            running.result()


def generate(
    service: WebService, keys: list[str], directory: Path, seed: str, *arguments: str
) -> list[Answered]:
    """Have requests made, and all answers checked; gives what came."""
    service.log.clear()
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{service.url}/openapi.json", "--auth", "admin:admin", "--no-color"),
        *("--seed", seed, "--generation-database", "none", *arguments),
    ]
    ours = {
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.web.openapi.schemathesis_hooks",
        "PRIVATE_KEYS": " ".join(keys),
    }
    with operations_end(service):
        ended = subprocess.run(
            command,
            cwd=directory,  # where it leaves what it found
            env=os.environ | ours,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    print(ended.stdout)
    assert ended.returncode == 0, f"SEED={seed}\n{ended.stdout}\n{ended.stderr}"
    assert f"Seed: {seed}" in ended.stdout
    answered = [
        Answered(str(line["method"]), str(line["path"]), int(str(line["status"])))
        for line in service.log
        if line["event"] == "request"
    ]
    assert [found for found in answered if found.status >= 500] == []
    return answered


def never_well(service: WebService, answered: list[Answered]) -> list[str]:
    """The routes that were never answered with what they are for."""
    table = [(route.verb, route.path) for route in service.table]
    well = {
        (route.verb, route.path)
        for asked in answered
        for route in service.table
        if asked.status < 300
        and asked.method in route.methods_taken
        and route.path_regex.match(matched_path(asked.path.encode()))
    }
    return [f"{verb} {path}" for verb, path in table if (verb, path) not in well]


@pytest.mark.dear_on("sqlite")
def test_hundreds_of_generated_requests_are_answered_as_described(
    service: WebService, keys: list[str], tmp_path: Path
) -> None:
    arguments = ("--phases", "examples,fuzzing,stateful", "--max-examples", "4", "--no-shrink")
    assert len(generate(service, keys, tmp_path, SEED or "1", *arguments)) > 250


@pytest.mark.proof
def test_thousands_of_generated_requests_are_answered_as_described(
    service: WebService, keys: list[str], tmp_path: Path
) -> None:
    seed = SEED or str(randbelow(1_000_000))
    answered = generate(service, keys, tmp_path, seed, "--max-examples", "100")
    assert len(answered) > 3000
    # What a generated operation's id names is hardly ever there.
    missed = [route for route in never_well(service, answered) if "{id}" not in route]
    assert set(missed) == NOT_ASKED, f"SEED={seed}"
