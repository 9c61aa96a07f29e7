"""What was learned of a host, by looking at it over SSH or from its source, put into the log.

That takes time. Meanwhile the host may have been removed, or registered anew with other
credentials: what was learned of an earlier incarnation is dropped, because it may be another
machine's.
"""

from dataclasses import dataclass

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered, FactsSourced, FailureKind, UpdatesFound
from domain.commands import operation_commands
from domain.commands.fleet_commands import Unit, activate_where_nobody_else_must


@dataclass(frozen=True)
class Subject:
    """The host that was looked at, as it was registered then."""

    address: str
    incarnation: int
    credentials: int | None = None
    """Since when it has the credentials that were used; None where that does not matter."""


def as_it_was(unit: Unit, subject: Subject) -> Host | None:
    """The host, unless it was removed or registered anew meanwhile."""
    host = unit.host(subject.address)
    same = host.registered and host.incarnation == subject.incarnation
    return host if same else None


def pin_key(unit: Unit, subject: Subject, algorithm: str, fingerprint: str) -> bool:
    """First contact: trust this key from now on. False where it must not be gone on with."""
    host = as_it_was(unit, subject)
    if host is None:
        return False
    host.pin_key(algorithm, fingerprint)
    return host.pinned == fingerprint


def refuse_key(unit: Unit, subject: Subject, fingerprint: str, reason: str) -> None:
    """The host showed another key than the pinned one."""
    host = as_it_was(unit, subject)
    if host is not None and host.pinned and host.pinned != fingerprint:
        host.refuse_key(fingerprint, reason)
        operation_commands.notice_failure(unit, host.name)


def settle(unit: Unit, subject: Subject, facts: FactsGathered) -> None:
    """The host said what it is, and nothing is to be installed (else see `bootstrap`)."""
    host = as_it_was(unit, subject)
    if host is not None:
        host.gather_facts(facts)
        take_part(unit, host)


def take_part(unit: Unit, host: Host) -> None:
    """Record that the host is set up: it takes part in its cluster, or waits for one."""
    host.finish_bootstrap()
    if host.cluster:
        activate_where_nobody_else_must(unit, unit.cluster(host.cluster), host)


def find_updates(unit: Unit, subject: Subject, found: UpdatesFound) -> bool:
    """So many updates wait on the host; False where it is not the host that was asked."""
    host = as_it_was(unit, subject)
    if host is not None:
        host.find_updates(found)
    return host is not None


def supply_facts(unit: Unit, subject: Subject, facts: FactsSourced) -> None:
    """The source of the host said what it is."""
    host = as_it_was(unit, subject)
    if host is not None and host.registration.source == facts.source:
        host.supply_facts(facts)


def fail(unit: Unit, subject: Subject, kind: FailureKind, reason: str) -> None:
    """Say why the host cannot be worked with; with rotated credentials it might."""
    host = as_it_was(unit, subject)
    if host is not None and subject.credentials in (None, host.credentials):
        host.fail(kind, reason)
        operation_commands.notice_failure(unit, host.name)
