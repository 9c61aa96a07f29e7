"""Rebuilds, again and again and killed at any moment, while clients write and read: no answer is
older than one before it, none is wrong, and nothing is missed in the switch."""

import random
import subprocess
import sys
import threading
from contextlib import ExitStack
from functools import partial

import pytest

from tests.faults.client import Answer, Client, address, registration
from tests.faults.models.population import populate
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import DIE_WITH_US, Service, wait_for
from tests.support.stores import Store

CLIENTS = 8
ROUNDS = 3
PROOF_ROUNDS = 30
POPULATION = 100
REBUILD_LIMIT_S = 120.0
KILLED_WITHIN_S = 4.0
HOSTS_OF_A_CLIENT = 12

CASES = [
    pytest.param(1, ROUNDS, id="1"),
    *(
        pytest.param(seed, PROOF_ROUNDS, id=str(seed), marks=pytest.mark.proof)
        for seed in range(2, 5)
    ),
]

# Nobody sees these rows or columns, but they are not what the log says: every switch has work.
DAMAGE = (
    "UPDATE hosts SET sourced = sourced || ' '",
    "INSERT INTO latest_operations VALUES ('ghost', 'x') ON CONFLICT DO NOTHING",
    "INSERT INTO nodes VALUES ('0.ghost', 'x') ON CONFLICT DO NOTHING",
)


class Watcher:
    """A client with a cluster and hosts of its own, which it knows everything of."""

    def __init__(self, service: Service, number: int, seed: int) -> None:
        self._client = Client(service)
        self._chance = random.Random(f"{seed} {number}")
        self._cluster = f"of-{number}"
        self._addresses = [address(20 + number, n) for n in range(HOSTS_OF_A_CLIENT)]
        self._members: list[str] = []
        self._positions: dict[str, int] = {}
        self.answered = 0
        self.failed: BaseException | None = None
        assert self._client.put(f"/cluster/{self._cluster}").status == 201

    def watch(self, stop: threading.Event) -> None:
        """Write and read until told to stop; what is wrong is in `failed`."""
        try:
            while not stop.is_set():
                self._step()
                self.answered += 1
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self.failed = error

    def _step(self) -> None:
        host = self._chance.choice(self._addresses)
        act = self._chance.random()
        if act < 0.25 and host not in self._members:
            body = registration(self._cluster)
            assert self._client.put(f"/host/{host}", body).status == 201
            self._members.append(host)
        elif act < 0.4 and host in self._members:
            assert self._client.delete(f"/host/{host}").status == 200
            self._members.remove(host)
        elif act < 0.6:
            record = self._get(f"/cluster/{self._cluster}").body
            assert record["hosts"]["total"] == len(self._members)
        elif act < 0.75:
            assert self._get(f"/cluster/{self._cluster}/hosts").body == self._members
        elif act < 0.9:
            wanted = 200 if host in self._members else 404
            assert self._client.request("GET", f"/host/{host}").status == wanted
        else:
            listed = {record["address"] for record in self._get("/hosts").body}
            assert listed >= set(self._members)
            assert not listed & (set(self._addresses) - set(self._members))

    def _get(self, path: str) -> Answer:
        """GET; the position that its validator begins with never goes back."""
        answer = self._client.request("GET", path)
        assert answer.status == 200, (path, answer)
        position = int(answer.headers["etag"].strip('W/"').partition("-")[0], 16)
        assert position >= self._positions.get(path, 0), path
        self._positions[path] = position
        return answer


@pytest.mark.dear_on("sqlite")
@pytest.mark.parametrize(("seed", "rounds"), CASES)
def test_rebuilds_under_load_are_not_seen_and_miss_nothing(
    seed: int, rounds: int, service: Service, database_url: str
) -> None:
    chance = random.Random(seed)
    Client(service).put("/cluster/crowd")
    populate(service, database_url, "crowd", POPULATION)
    watchers = [Watcher(service, number, seed) for number in range(CLIENTS)]
    stop = threading.Event()
    threads = [threading.Thread(target=watcher.watch, args=(stop,)) for watcher in watchers]
    for thread in threads:
        thread.start()
    try:
        for number in range(rounds):
            damage(service, database_url)
            # The last round is let go on to its end, and so are some others.
            kill = number < rounds - 1 and chance.random() < 0.7
            rebuild(service, chance.uniform(0, KILLED_WITHIN_S) if kill else None, chance)
            before = sum(watcher.answered for watcher in watchers)
            wait_for(partial(have_gone_on, watchers, before))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for watcher in watchers:
        if watcher.failed is not None:
            raise watcher.failed
    must_be_whole(database_of(service, database_url))


def have_gone_on(watchers: list[Watcher], before: int) -> bool:
    """Whether everybody got further answers, or one of them a wrong one."""
    if any(watcher.failed for watcher in watchers):
        return True
    return sum(watcher.answered for watcher in watchers) >= before + CLIENTS


def damage(service: Service, database_url: str) -> None:
    """Change what nobody sees."""
    with ExitStack() as opened:
        store = Store(database_of(service, database_url), opened)
        with store.engine.append(10) as appending:
            for sql in DAMAGE:
                appending.tx.execute(sql)
            appending.commit()


def rebuild(service: Service, killed_after_s: float | None, chance: random.Random) -> None:
    """`commissaire projections rebuild`, to its end or to kill -9."""
    slow = [] if chance.random() < 0.5 else ["--events-per-second", "1000"]
    arguments = ["projections", "rebuild", "--data", str(service.data), *slow]
    process = subprocess.Popen(
        [*DIE_WITH_US, sys.executable, "-m", "runners.cli", *arguments],
        env=service.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=killed_after_s or REBUILD_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        assert killed_after_s is not None, "the rebuild does not end"
        return
    assert process.returncode == 0, said
    assert "rows were put right" in said
