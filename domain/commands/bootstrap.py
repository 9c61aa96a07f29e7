"""Setting a host up for the network of its cluster, step by step.

The network decides whether anything is installed at all: the built-in one, one without endpoints
or address, and no cluster want nothing. A host that was set up once is never set up again. A step
is an intent, then what became of it; between the two it may have run or not, and is asked about.
"""

from typing import NamedTuple

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from domain.aggregates.network import DEFAULT_NETWORK
from domain.aggregates.operation_events import Evidence
from domain.commands import investigation
from domain.commands.fleet_commands import Unit
from domain.commands.investigation import Subject, as_it_was
from domain.options import Options

Changed = list[dict[str, str]]
"""Files that were written: `path`, `sha256`, `mode`, `owner`."""


class Wanted(NamedTuple):
    """The network that a host is to be set up for."""

    network: str
    type: str
    options: Options


def begin(unit: Unit, subject: Subject, facts: FactsGathered) -> Wanted | None:
    """The host said what it is. None where nothing is to be installed: then it is set up."""
    host = as_it_was(unit, subject)
    wanted = _wanted(unit, host) if host is not None else None
    if host is None or wanted is None:
        investigation.settle(unit, subject, facts)
        return None
    host.gather_facts(facts, recovers=not host.failed_in_setup)
    return wanted


def go_on(unit: Unit, subject: Subject) -> Wanted | None:
    """What is still wanted of a host whose facts are in the log; None where it takes part now."""
    host = as_it_was(unit, subject)
    wanted = _wanted(unit, host) if host is not None else None
    if host is not None and wanted is None:
        investigation.take_part(unit, host)
    return wanted


def send_step(unit: Unit, subject: Subject, step: str, run: str, network: str) -> bool:
    """The intent to run a step. False where it must not be sent."""
    host = as_it_was(unit, subject)
    return host is not None and host.send_step(step, run, network)


def finish_step(
    unit: Unit, subject: Subject, run: str, changed: Changed, evidence: Evidence
) -> None:
    """Record that a step went well."""
    host = as_it_was(unit, subject)
    if host is not None:
        host.finish_step(run, changed, evidence)


def fail_step(
    unit: Unit, subject: Subject, run: str, reason: str, changed: Changed, evidence: Evidence
) -> None:
    """A step went wrong, or was cut short; whoever sent it decides whether the host has failed."""
    host = as_it_was(unit, subject)
    if host is not None:
        host.fail_step(run, reason, changed, evidence)


def finish(unit: Unit, subject: Subject) -> None:
    """Record that the host needs no further step."""
    host = as_it_was(unit, subject)
    if host is not None and host.step is None:
        investigation.take_part(unit, host)


def _wanted(unit: Unit, host: Host) -> Wanted | None:
    if not host.awaits_setup or not host.cluster:
        return None
    name = unit.cluster(host.cluster).network
    if name == DEFAULT_NETWORK:  # nobody asks more of it: this is the way of nearly every host
        return None
    network = unit.network(name)
    return Wanted(name, network.type, network.options) if network.installs else None
