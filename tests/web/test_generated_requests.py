"""What `/openapi.json` promises holds for requests that nobody would think of.

schemathesis makes them from the document, right ones and wrong ones, alone and one after the other,
and checks each answer: no status, header, type or record that is not described, nothing wrong
accepted and nothing right refused, no credentials ignored, no 5xx. `SEED=… pytest` runs others.
"""

import os
import subprocess
import sys
from pathlib import Path
from secrets import randbelow

import pytest

from domain.credentials import Login
from tests.web.service import WebService
from web.credentials import Trust

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SEED = os.environ.get("SEED")
LIMIT_S = 900


async def lets_everybody_in(login: Login, private_key: bytes, trust: Trust) -> None:
    """Instead of SSH to addresses that were made up."""


def generate(service: WebService, directory: Path, seed: str, *arguments: str) -> int:
    """Have requests made; gives how many came."""
    service.log.clear()
    service.try_login = lets_everybody_in
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{service.url}/openapi.json", "--auth", "admin:admin", "--no-color"),
        *("--seed", seed, "--generation-database", "none", *arguments),
    ]
    ended = subprocess.run(
        command,
        cwd=directory,  # where it leaves what it found
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.web.schemathesis_hooks"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    print(ended.stdout)
    assert ended.returncode == 0, f"SEED={seed}\n{ended.stdout}\n{ended.stderr}"
    assert f"Seed: {seed}" in ended.stdout
    requests = [line for line in service.log if line["event"] == "request"]
    assert [line for line in requests if int(str(line["status"])) >= 500] == []
    return len(requests)


def test_hundreds_of_generated_requests_are_answered_as_described(
    service: WebService, tmp_path: Path
) -> None:
    arguments = ("--phases", "examples,fuzzing,stateful", "--max-examples", "4", "--no-shrink")
    assert generate(service, tmp_path, SEED or "1", *arguments) > 250


@pytest.mark.proof
def test_thousands_of_generated_requests_are_answered_as_described(
    service: WebService, tmp_path: Path
) -> None:
    seed = SEED or str(randbelow(1_000_000))
    assert generate(service, tmp_path, seed, "--max-examples", "100") > 3000
