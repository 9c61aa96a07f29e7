"""Members that have failed are looked at once more before an operation skips them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from domain.event import shifted
from projections.beside_the_log import host_looks
from projections.beside_the_log.host_looks import Look
from tests.web.resources.operations.test_operations import (
    ADDRESSES,
    advance,
    begun,
    cluster_of,
    failed,
)
from tests.web.service import WebService, serving

OFF = "It is off."
LIMIT_S = 60.0
"""Longer than any test may take: what ends, ended because the looks were done."""


@pytest.fixture
def looking(database_url: str, tmp_path: Path) -> Iterator[WebService]:
    """A service that has failed members looked at."""
    with serving(tmp_path, database_url, second_look_s=LIMIT_S) as service:
        yield service


@pytest.fixture
def looked(looking: WebService, key: str) -> Iterator[httpx.Client]:
    """Its client; the first of three members has failed."""
    with looking.client() as api:
        cluster_of(looking, api, key, *ADDRESSES)
        looking.fail(ADDRESSES[0], OFF)
        yield api


def asked(service: WebService) -> list[tuple[str, str]]:
    """Which hosts a look was asked at, and when."""
    return [
        (recorded.event.originator_id.partition("/")[2], recorded.event.at)
        for recorded in service.events
        if recorded.event.TOPIC == "host.check_requested"
    ]


@contextmanager
def runner(service: WebService, do: Callable[[str, str], None]) -> Iterator[None]:
    """Looks at hosts as they are asked for."""
    over = Event()

    def run() -> None:
        done = 0
        while not over.wait(0.02):
            for address, at in asked(service)[done:]:
                done += 1
                do(address, at)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def outcomes(api: httpx.Client, name: str) -> dict[str, str]:
    """Of each host of an operation."""
    hosts = api.get(f"/operation/{name}/hosts").json()
    return {host["address"]: host["outcome"] for host in hosts}


def test_what_was_mended_is_taken_by_a_start_and_by_a_retry(
    looking: WebService, looked: httpx.Client
) -> None:
    with runner(looking, lambda address, at: looking.settle(address)):
        name = begun(looked)
        assert set(outcomes(looked, name).values()) == {"waiting"}
        assert [address for address, _ in asked(looking)] == ADDRESSES[:1]
        advance(looking, name)
        failed(looking, name, ADDRESSES[0], "It broke.")
        looking.fail(ADDRESSES[1], OFF)
        again = looked.put(f"/operation/{name}/retry").json()
        assert {host["outcome"] for host in again["hosts"]} == {"waiting"}
        assert looked.put(f"/operation/{name}/retry").json()["id"] == again["id"]
        assert len(asked(looking)) == 2, "what is in process already is not looked at"
        assert looked.put("/cluster/web/restart").status_code == 409
        assert len(asked(looking)) == 2


def test_what_is_still_failed_is_skipped_as_soon_as_that_is_known(
    looking: WebService, looked: httpx.Client
) -> None:
    def fails_as_before(address: str, at: str) -> None:
        look = Look(at, shifted(at, 600.0))
        looking.perform(
            lambda unit: unit.write_beside(lambda tx: host_looks.keep(tx, {address: look}))
        )

    body = {"kind": "upgrade", "cluster": "web"}
    with runner(looking, fails_as_before):
        planned = looked.post("/operations", json=body | {"dry_run": True})
        assert asked(looking) == [], "a dry run touches nothing"
        answer = looked.post(
            "/operations",
            json=body | {"plan": planned.json()["plan"]},
            headers={"idempotency-key": "key"},
        )
        assert answer.status_code == 201, answer.text
        assert outcomes(looked, answer.json()["id"])[ADDRESSES[0]] == "skipped"
        ((address, at),) = asked(looking)
        (record,) = looked.get("/fleet/hosts?status=failed").json()
        assert (record["address"], record["next_check"]) == (address, shifted(at, 600.0))
        for record in looked.get("/fleet/hosts?status=active").json():
            assert record["next_check"] is None
        at = looking.events[-1].recorded_at
        (record,) = looked.get("/fleet/hosts", params={"status": "failed", "at": at}).json()
        assert record["next_check"] is None, "of the past nobody knows"
        again = looked.post(
            "/operations",
            json=body | {"plan": planned.json()["plan"]},
            headers={"idempotency-key": "key"},
        )
        assert again.json()["id"] == answer.json()["id"]
        assert len(asked(looking)) == 1


def test_only_targets_are_looked_at(looking: WebService, looked: httpx.Client) -> None:
    body = {"kind": "upgrade", "cluster": "web", "hosts": ADDRESSES[1:]}
    assert looked.post("/operations", json=body).status_code == 201
    assert asked(looking) == []


def test_whoever_waits_for_a_look_that_nobody_takes_waits_for_the_limit_only(
    tmp_path: Path, key: str
) -> None:
    with serving(tmp_path, second_look_s=0.5) as service, service.client() as api:
        cluster_of(service, api, key, *ADDRESSES)
        service.fail(ADDRESSES[0], OFF)
        before = time.monotonic()
        assert outcomes(api, begun(api))[ADDRESSES[0]] == "skipped"
        assert time.monotonic() - before >= 0.5
        assert len(asked(service)) == 1
