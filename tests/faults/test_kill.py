"""kill -9 at any moment, under load: every answered change is there, and no change by half."""

import random
import threading

import pytest

from tests.faults.client import Client
from tests.faults.models.journal import CROWD, Journal
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import Service, wait_for

CLIENTS = 6
KILLS = 5
PROOF_SEEDS = range(2, 22)
ANSWERS_MAX = 150
"""A kill comes after so many answers at most."""

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.proof) for seed in PROOF_SEEDS)]


@pytest.mark.parametrize("seed", SEEDS)
def test_after_kill_9_every_answered_change_is_there_and_none_by_half(
    seed: int, service: Service, database_url: str
) -> None:
    chance = random.Random(seed)
    assert Client(service).put(f"/cluster/{CROWD}").status == 201
    journals = [Journal(service, number, seed) for number in range(CLIENTS)]
    for _ in range(KILLS):
        kill_under_load(service, journals, chance.randint(1, ANSWERS_MAX))
        service.start()
        for journal in journals:
            journal.compare()
        must_be_whole(database_of(service, database_url))


def kill_under_load(service: Service, journals: list[Journal], answers: int) -> None:
    """Let all clients write, and kill once they got so many answers together."""
    stop = threading.Event()
    enough = answers + sum(journal.answered for journal in journals)
    threads = [threading.Thread(target=journal.write, args=(stop,)) for journal in journals]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: sum(journal.answered for journal in journals) >= enough)
        service.kill()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
