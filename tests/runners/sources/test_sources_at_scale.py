"""Thousands of hosts with one source: each gets its facts, and what a round of questions costs."""

import asyncio
import json
import resource
from pathlib import Path

import pytest

from runners.sources.file_source import FileSource
from tests.runners.sources.play import Play
from tests.runners.stage import until
from tests.support.stores import Store

HOSTS = 5000
LIMIT_S = 120.0
ROUND_CPU_MOST_S = 50.0
"""Ten milliseconds of CPU for each host, with its event: several times what it takes."""


def cpu_s() -> float:
    """What this process has used of the CPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@pytest.mark.proof
async def test_five_thousand_hosts_of_one_source_have_their_facts(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "hosts.json"
    addresses = [f"10.1.{n // 250}.{n % 250 + 1}" for n in range(HOSTS)]
    path.write_text(json.dumps({address: {"cpus": 48} for address in addresses}))
    inventory = FileSource.open({"path": str(path)}, {})
    async with Play(store, inventory, cache_s=10.0).opened() as play:
        await asyncio.gather(*(play.register(address) for address in addresses))
        before, answered = cpu_s(), play.tally.answers
        await until(lambda: play.tally.answers >= HOSTS, LIMIT_S)
        first, asked = cpu_s() - before, max(1, HOSTS - answered)
        before, answered = cpu_s(), play.tally.answers
        await until(lambda: play.tally.answers >= answered + HOSTS, LIMIT_S)
        again = cpu_s() - before
    assert {play.record(address)["cpus"] for address in addresses} == {48}
    first_ms, again_ms = first / asked * 1000, again / HOSTS * 1000
    print(f"\nCPU of a question: {first_ms:.2f} ms with its event, {again_ms:.2f} ms without news")
    assert first_ms * HOSTS / 1000 < ROUND_CPU_MOST_S
