"""Crowds of rude clients: each is told what the contract says, and good ones go on meanwhile."""

import resource
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from runners.security.users import UsersFile, hash_password
from tests.manners.crowd import Crowd, Outcome, crowd
from tests.manners.good import GoodClients, Pace, nothing_but_good_changes
from tests.support.service import Service, wait_for

SHORT = ("--header-timeout-s", "4", "--body-timeout-s", "1")
"""A head that does not begin in time is hung up on without a word: each rude client gets a CPU
within that time, also where there are many of them."""

CONNECTIONS_MAX = 60
FEW_REQUESTS = 50
FILES_SPARE = 1000
"""Of what a process may have open, not for idle connections."""

ROUNDS = 5
REQUESTS = 400
FAILED_LOGINS = 10_000
P99_RATIO_MAX = 5.0


class Kind(NamedTuple):
    """How many rude clients of a kind there are, and what all of them are told."""

    few: int
    many: int
    told: frozenset[int]
    seconds: float = 0.0
    """How long each round lasts at least: longer than the service's own limit, where it has one."""
    answers: int = 0
    """How many of them are answered in each round at least."""


KINDS = {
    "idle": Kind(300, 10_000, frozenset(), seconds=12),
    "slow heads": Kind(50, 1000, frozenset({408}), seconds=12),
    "slow bodies": Kind(50, 1000, frozenset({408}), seconds=8),
    "garbage": Kind(4, 8, frozenset({200, 400})),
    "large bodies": Kind(4, 8, frozenset({413})),
    "bad input": Kind(4, 8, frozenset({400, 404})),
    "long lists": Kind(2, 4, frozenset({409})),
    "malformed credentials": Kind(4, 8, frozenset({403})),
    "wrong passwords": Kind(4, 8, frozenset({403, 429}), answers=FAILED_LOGINS // ROUNDS),
    "unknown users": Kind(4, 8, frozenset({403, 429}), answers=FAILED_LOGINS // ROUNDS),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of little patience."""
    with Service(tmp_path_factory.mktemp("short"), None, *SHORT) as running:
        yield running


@pytest.fixture(scope="module")
def guessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for those who guess passwords: afterwards it lets nobody guess for a while."""
    with Service(tmp_path_factory.mktemp("guessed"), None, *SHORT) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_a_crowd_is_told_what_the_contract_says_and_good_clients_are_served(
    request: pytest.FixtureRequest, kind: str
) -> None:
    few, told = KINDS[kind].few, KINDS[kind].told
    short = request.getfixturevalue("guessed" if KINDS[kind].answers else "short")
    good = GoodClients(short)
    with nothing_but_good_changes(short, good), crowd(short, kind, few) as rude:
        good.pace(FEW_REQUESTS)
        good.newcomer_is_served()
        outcome = wait_for(lambda: enough(rude, few, told))
        good.pace(FEW_REQUESTS)
    assert set(outcome.statuses) == told
    assert outcome.leaks == []
    if told:
        assert outcome.dropped == 0


def enough(rude: Crowd, clients: int, told: frozenset[int]) -> Outcome | None:
    """What came of it, once everybody was told something, or hung up on."""
    outcome = rude.outcome()
    over = outcome.dropped + sum(outcome.statuses.values())
    return outcome if over >= clients and told <= set(outcome.statuses) else None


@pytest.mark.parametrize("kind", ["idle", "slow heads", "unauthorized bodies"])
def test_where_there_are_too_many_connections_those_without_a_request_go_first(
    kind: str, tmp_path: Path
) -> None:
    limit = ("--connections-max", str(CONNECTIONS_MAX))
    with Service(tmp_path, None, *limit) as service:
        good = GoodClients(service)
        with (
            nothing_but_good_changes(service, good),
            crowd(service, kind, CONNECTIONS_MAX * 5) as rude,
        ):
            # On the connection that it had before; unless everybody else just then has a request,
            # which is not answered yet, be it refused in the end.
            good.pace(FEW_REQUESTS, again=kind == "unauthorized bodies")
            for _ in range(FEW_REQUESTS):
                good.newcomer_is_served()
            outcome = rude.outcome()
        assert outcome.opened > CONNECTIONS_MAX * 5
        assert set(outcome.statuses) <= {401, 503}
        assert outcome.leaks == []


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_the_p99_of_good_requests_stays_within_5_times_its_idle_value(
    kind: str, tmp_path: Path
) -> None:
    _, many, told, seconds, answers = KINDS[kind]
    many = min(many, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - FILES_SPARE)
    calm: list[Pace] = []
    beside: list[Pace] = []
    statuses: dict[int, int] = {}
    with as_in_the_field(tmp_path) as service:
        good = GoodClients(service)
        good.pace(FEW_REQUESTS)
        with nothing_but_good_changes(service, good):
            for _ in range(ROUNDS):
                calm.append(good.pace(REQUESTS))
                with crowd(service, kind, many) as rude:
                    beside.append(good.pace(REQUESTS, seconds))
                    while sum((outcome := rude.outcome()).statuses.values()) < answers:
                        beside.append(good.pace(REQUESTS))
                assert outcome.leaks == []
                for status, seen in outcome.statuses.items():
                    statuses[status] = statuses.get(status, 0) + seen
    assert set(statuses) <= told
    ratios = []
    for what, idle, loaded in (
        (what, median(pace[n] for pace in calm), median(pace[n] for pace in beside))
        for n, what in enumerate(("reads", "changes"))
    ):
        print(
            f"{many} x {kind}: p99 of {what} idle {idle * 1000:.2f} ms, beside them"
            f" {loaded * 1000:.2f} ms, ratio {loaded / idle:.2f}; told {statuses}"
        )
        ratios.append(loaded / idle)
    assert max(ratios) <= P99_RATIO_MAX


def as_in_the_field(directory: Path) -> Service:
    """A service with all its defaults; its passwords cost what they cost in the field."""
    service = Service(directory)
    users = UsersFile(service.data / "users.json")
    for role in ("admin", "operator"):
        users.add(role, hash_password(service.password), role, replace=True)
    return service
