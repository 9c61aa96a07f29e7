"""What is asked of the fleet says the same however it is looked for, on both engines."""

import random
from collections import Counter
from itertools import product
from typing import Any

import orjson
import pytest

from domain.commands import fleet_commands
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from projections.fleet import facets, matching, queries
from projections.fleet.matching import HostFilter
from projections.fleet.queries import Page
from tests.domain.memory_unit import request
from tests.projections.histories import SECRETS, looked_at
from tests.support.stores import Store, done

HOSTS = 60
FILTERS = [
    HostFilter(q=q, status=status, labels=labels, reboot_needed=needed)
    for q, status, labels, needed in product(
        (None, "0.1", "DB", "role=w", "%"),
        (None, "failed"),
        ((), ("role=db",), ("role=Db", "zone=z1"), ("role=none",)),
        (None, -1, 1),
    )
]


@pytest.fixture
def fleet(store: Store) -> Store:
    """Some hosts that are alike, and some that are not; labels of some were changed."""
    chance = random.Random(7)

    def live(unit: Unit, number: int) -> None:
        address = f"10.0.{number % 3}.{number}"
        fleet_commands.register_host(unit, SECRETS, address, request())
        for _ in range(2):
            labels = {"role": chance.choice(("db", "Db", "web")), "zone": f"z{number % 2}"}
            unit.host(address).change_labels(dict(chance.sample(sorted(labels.items()), 2)))
        looked_at(unit, address, chance.choice((0, 1, 2)))
        if number % 10 == 9:
            fleet_commands.remove_host(unit, SECRETS, address)

    with store.writer() as writer:
        for number in range(HOSTS):
            done(writer, live, number)
    return store


def records(tx: Transaction, which: HostFilter, sort: str) -> list[dict[str, Any]]:
    """All hosts that match, page by page."""
    found: list[dict[str, Any]] = []
    page = queries.hosts(tx, which, Page(sort, 7))
    found += orjson.loads(page.body)
    while page.next is not None:
        page = queries.hosts(tx, which, Page(sort, 7, page.next))
        found += orjson.loads(page.body)
    return found


def test_facets_count_the_hosts_that_pages_have(
    fleet: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet.engine.snapshot() as tx:
        for which in FILTERS:
            hosts = records(tx, which, "address")
            told = facets.facets(tx, which)
            assert told["total"] == len(hosts), which
            assert told["status"] == Counter(host["status"] for host in hosts), which
            for label in ("role", "zone"):
                counted = Counter(host["labels"][label] for host in hosts)
                assert told["labels"].get(label, {}) == counted, which
            with monkeypatch.context() as without:
                without.setattr(facets, "PROFILES_MAX", 0)
                assert facets.facets(tx, which) == told, "host by host"
    fleet.must_be_consistent()


@pytest.mark.parametrize("many", [0, 2_000])
def test_pages_within_a_label_are_sorted_however_many_it_has(
    fleet: Store, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(matching, "SORTED_MAX", many)
    with fleet.engine.snapshot() as tx:
        for which in (HostFilter(labels=("role=db",)), HostFilter(labels=("role=db", "zone=z1"))):
            unsorted = records(tx, which, "address")
            assert unsorted
            for sort in ("since", "status", "os", "kind"):
                expected = sorted(unsorted, key=lambda host: (host[sort] or "", host["address"]))
                assert records(tx, which, sort) == expected
                assert records(tx, which, f"-{sort}") == expected[::-1]


@pytest.mark.parametrize("looked_up", [0, 2, 8])
@pytest.mark.parametrize("q", ["0.1", "DB", "role=w", "z", "=", "none"])
def test_q_finds_the_same_however_many_labels_have_it(
    fleet: Store, monkeypatch: pytest.MonkeyPatch, q: str, looked_up: int
) -> None:
    monkeypatch.setattr(matching, "SOUGHT_MAX", looked_up)
    with fleet.engine.snapshot() as tx:
        everything = records(tx, HostFilter(), "address")
        expected = [host for host in everything if _has(host, q.lower())]
        assert records(tx, HostFilter(q=q), "address") == expected


def test_labels_and_addresses_are_looked_at_only_where_q_can_be_in_them(
    fleet: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet.engine.snapshot() as tx:
        of_an_address = matching.matching(tx, HostFilter(q="10.0.1.4"), "address")
        assert "host_labels" not in " ".join(of_an_address.conditions)
        told = facets.facets(tx, HostFilter(q="role=w"))
        monkeypatch.delattr(facets, "_by_address")
        assert facets.facets(tx, HostFilter(q="role=w")) == told


def _has(host: dict[str, Any], text: str) -> bool:
    labels = (f"{key}={value}".lower() for key, value in host["labels"].items())
    return text in host["address"] or any(text in label for label in labels)
