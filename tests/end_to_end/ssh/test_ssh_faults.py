"""Each fault of a host ends in the right status, with a reason that names the cause.

All hosts of the table are registered at once with one service; each test is about one of them.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from domain.aggregates.host_events import FactsGathered, Failed
from tests.end_to_end.history import events_of, history
from tests.end_to_end.ssh.host_faults import FAULTS, HARMFUL, HARMLESS
from tests.end_to_end.ssh.ward import SETTLED_WITHIN_S, Ward
from tests.fleet import Fleet
from tests.support.service import Service

LIMITS = ("--ssh-connect-timeout-s", "3", "--ssh-command-timeout-s", "4")
ATTEMPTS = ("--investigation-attempts", "2")
RETRIES = ("--retry-pause-s", "0.5", "--retry-pause-max-s", "1", "--ssh-parallel", "64")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """All faults at once, on SQLite: the engine has no part in them."""
    directory = tmp_path_factory.mktemp("ward")
    with (
        Fleet(directory / "fleet") as fleet,
        Service(directory / "service", None, *LIMITS, *ATTEMPTS, *RETRIES) as service,
        closing(Ward(service, fleet)) as ward,
    ):
        ward.register_all()
        yield ward


@pytest.fixture(scope="module")
def healed_ward(ward: Ward) -> Ward:
    """The same once every cause is gone."""
    ward.heal()
    return ward


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_fault_of_the_host_makes_no_difference(name: str, ward: Ward) -> None:
    host = ward.hosts[name]
    ward.service.wait_for_status(host.address, "disassociated", timeout_s=SETTLED_WITHIN_S)
    topics = [event.TOPIC for event in history(ward.service, host.address)]
    assert topics == [
        "host.registered",
        "host.key_pinned",
        "host.facts_gathered",
        "host.bootstrapped",
    ]
    assert events_of(FactsGathered, ward.service, host.address)[0].os == "fedora"


@pytest.mark.parametrize("name", HARMFUL)
def test_a_fault_fails_the_host_with_a_reason_that_names_its_cause(name: str, ward: Ward) -> None:
    found, expected = ward.failure(name), FAULTS[name]
    assert found.kind == expected.kind
    for words in expected.words:
        assert words in found.reason


@pytest.mark.parametrize("name", HARMFUL)
def test_a_host_whose_fault_is_gone_recovers_by_itself(name: str, healed_ward: Ward) -> None:
    address = healed_ward.hosts[name].address
    healed_ward.service.wait_for_status(address, "disassociated", timeout_s=SETTLED_WITHIN_S)


def test_the_reason_of_a_failure_is_told_once_however_often_it_is_found(healed_ward: Ward) -> None:
    # Of hosts that were retried many times: each of these events is another reason than before.
    for host in healed_ward.hosts.values():
        reasons = [event.reason for event in events_of(Failed, healed_ward.service, host.address)]
        assert all(a != b for a, b in pairwise(reasons)), reasons
