"""How long it takes until others hold what a process held: run with `-s` to see the figures."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.leases.ownership import SHARDS
from tests.end_to_end.processes.several import held, several, until_held
from tests.support.service import Service

LEASE_S = 10.0


def measured(what: str, change: Callable[[], object], others: Service) -> float:
    """Seconds until another holds everything."""
    until_held(others, SHARDS // 2)
    begin = time.monotonic()
    change()
    until_held(others, SHARDS)
    took = time.monotonic() - begin
    print(f"{what}: {took:.1f} s")
    return took


@pytest.mark.proof
def test_how_long_a_takeover_takes(tmp_path: Path, postgres_url: str) -> None:
    with several(2, tmp_path, [postgres_url] * 2) as (first, second):
        measured("stopped", first.stop, second)
        first.start()
        measured("killed, with another on its machine", first.kill, second)
        first.start()
        took = measured("frozen", lambda: first.send(signal.SIGSTOP), second)
        assert took > LEASE_S / 2, "nothing is taken from whoever may be alive"
        begin = time.monotonic()
        first.send(signal.SIGCONT)
        until_held(first, SHARDS // 2)
        print(f"woken up, and its share again: {time.monotonic() - begin:.1f} s")
        assert held(second) == SHARDS // 2
