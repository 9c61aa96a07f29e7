"""What a source supplies, and when it is stale."""

from dataclasses import replace

import pytest

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsSourced, Registered, Removed
from domain.aggregates.source import BecameStale, CameBack, Source
from domain.commands import fleet_commands, investigation
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.commands.investigation import Subject
from tests.domain.given import given
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, parse, request

A = "10.0.0.1"
SINCE = "2026-01-02T03:04:05.000006"
REGISTERED = Registered(A, "root", 22, "SHA256:k", "rack")
SAID = FactsSourced("rack", cpus=8, memory=16_000_000)


def test_a_source_becomes_stale_once_and_comes_back_once() -> None:
    given(Source, "rack").when(Source.become_stale, SINCE, "off").then(BecameStale(SINCE, "off"))
    stale = given(Source, "rack", BecameStale(SINCE, "off"))
    stale.when(Source.become_stale, SINCE, "on fire").then()
    stale.when(Source.come_back).then(CameBack())
    given(Source, "rack", BecameStale(SINCE, "off"), CameBack()).when(Source.come_back).then()
    given(Source, "rack").when(Source.come_back).then()


def test_facts_of_a_source_are_news_only_where_they_change() -> None:
    given(Host, A, REGISTERED).when(Host.supply_facts, SAID).then(SAID)
    known = given(Host, A, REGISTERED, SAID)
    known.when(Host.supply_facts, FactsSourced("rack", cpus=8, memory=16_000_000)).then()
    known.when(Host.supply_facts, FactsSourced("rack", cpus=8)).then(FactsSourced("rack", cpus=8))


def test_a_source_that_never_knew_the_host_says_nothing_and_one_that_forgot_it_does() -> None:
    nothing = FactsSourced("rack")
    given(Host, A, REGISTERED).when(Host.supply_facts, nothing).then()
    given(Host, A, REGISTERED, SAID).when(Host.supply_facts, nothing).then(nothing)


def test_facts_of_a_source_change_no_status_and_not_what_the_host_said() -> None:
    host = Host.replay(A, [])
    host.emit(replace(REGISTERED))
    host.supply_facts(SAID)
    assert (host.status, host.facts) == ("investigating", None)
    host.gather_facts(FACTS)
    host.supply_facts(FactsSourced("rack", cpus=2))
    assert (host.status, host.facts) == ("bootstrapping", FACTS)


def test_what_a_source_said_is_forgotten_with_the_host() -> None:
    given(Host, A, REGISTERED, SAID, Removed(), REGISTERED).when(Host.supply_facts, SAID).then(SAID)


class Fleet(MemoryUnit):
    """Hosts as they are needed."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = MemorySecrets()

    def register(self, source: str | None, *, is_there: bool = True) -> None:
        """Register A."""
        key = OfferedKey(b"key-1", parse)
        asked = HostRequest(key, source=source, source_is_there=is_there)
        fleet_commands.register_host(self, self.secrets, A, asked)


def test_what_is_learned_late_of_another_incarnation_or_from_another_source_is_dropped() -> None:
    unit = Fleet()
    unit.register("rack")
    before = Subject(A, unit.host(A).incarnation)
    unit.did()
    investigation.supply_facts(unit, before, FactsSourced("cmdb", cpus=8))
    fleet_commands.remove_host(unit, unit.secrets, A)
    unit.did()
    investigation.supply_facts(unit, before, SAID)
    unit.register("rack")
    unit.did()
    investigation.supply_facts(unit, before, SAID)
    assert unit.did() == []


def test_a_host_cannot_be_registered_with_a_source_that_is_not_there() -> None:
    unit = Fleet()
    refusal = unit.refused(lambda: unit.register("nowhere", is_there=False))
    assert (refusal.kind, refusal.key) == ("invalid", "source")
    assert "'nowhere'" in refusal.sentence


def test_a_host_whose_source_is_gone_from_the_settings_stays_what_it_is() -> None:
    unit = Fleet()
    unit.register("rack")
    unit.did()
    unit.register("rack", is_there=False)
    unit.register(None)
    assert unit.did() == []
    refusal = unit.refused(lambda: unit.register("nowhere", is_there=False))
    assert (refusal.kind, refusal.key) == ("invalid", "source")


@pytest.mark.parametrize("source", ["", "cmdb"])
def test_a_repeat_with_another_source_contradicts(source: str) -> None:
    unit = Fleet()
    unit.register("rack")
    refusal = unit.refused(
        lambda: fleet_commands.register_host(unit, unit.secrets, A, request(source=source))
    )
    assert (refusal.kind, refusal.key) == ("conflict", "source")
