"""What may come of work on a host, and how it is recorded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from domain.aggregates.host import Host
from domain.aggregates.host_events import (
    BootstrapStepSent,
    FactsGathered,
    FailureKind,
    UpdatesFound,
)
from domain.aggregates.operation_events import Evidence
from domain.commands import bootstrap, investigation
from domain.commands.bootstrap import Changed, Wanted
from domain.commands.investigation import Subject
from domain.event import Act
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.beside_the_log import outputs, update_scans
from projections.beside_the_log.update_scans import FailedScan
from runners.leases.ownership import SINGLE_PROCESS, NoLongerOurs, Ownership
from runners.scheduling.process_manager import UNRECORDED

P = ParamSpec("P")
T = TypeVar("T")


class HostUnusable(Exception):
    """The host cannot be worked with; `reason` is for people.

    `passing`: whether that may change in a moment, without anybody's doing. `nothing_began`: the
    host said that nothing of the step that it was sent has begun.
    """

    def __init__(
        self,
        kind: FailureKind,
        reason: str,
        *,
        passing: bool = False,
        nothing_began: bool = False,
    ) -> None:
        super().__init__(reason)
        self.nothing_began = nothing_began
        self.kind: FailureKind = kind
        self.reason = reason
        self.passing = passing


class HostKeyChanged(Exception):
    """The host showed another key than the pinned one. Nothing was sent to it."""

    def __init__(self, fingerprint: str, reason: str) -> None:
        super().__init__(reason)
        self.fingerprint = fingerprint
        self.reason = reason


class Trust(Protocol):
    """Asked with the host key of the first contact, before anything is sent to the host."""

    async def __call__(self, algorithm: str, fingerprint: str) -> None:
        """Returns where the key is trusted from now on; raises `NoLongerOurs` otherwise."""
        ...


class Probe(Protocol):
    """Connects to a host and asks it what it is."""

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts. Raises `HostUnusable`, `HostKeyChanged`, `LocalFailure`, and what `trust`
        raises."""
        ...


class Ending(NamedTuple):
    """The end of a step: the files that it wrote, the proof of how it ended, and its output."""

    changed: Changed
    evidence: Evidence
    output: bytes


class HostOutcomes:
    """Records what came of work on a host, under a runner's name. `now()` gives the time.

    Nothing is recorded of a host that was removed or registered anew meanwhile, or that is another
    process's by now.
    """

    def __init__(
        self,
        writer: Writer,
        actor: str,
        now: Callable[[], str],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._writer = writer
        self._actor = actor
        self._now = now
        self._ownership = ownership

    def trust(self, host: Host) -> Trust:
        """Pins the key of the first contact."""

        async def trust(algorithm: str, fingerprint: str) -> None:
            if not await self._record(host, investigation.pin_key, algorithm, fingerprint):
                raise NoLongerOurs

        return trust

    async def settle(self, host: Host, facts: FactsGathered) -> None:
        """The host answered with its facts, and is set up."""
        await self._record(host, investigation.settle, facts)

    async def find_updates(self, host: Host, found: UpdatesFound) -> None:
        """The host told how many updates wait."""
        at = self._now()

        def find(unit: Unit, subject: Subject) -> None:
            if investigation.find_updates(unit, subject, found):
                unit.write_beside(lambda tx: update_scans.keep(tx, host.name, at))

        await self._record(host, find)

    async def fail_updates(self, host: Host, failed: FailedScan) -> None:
        """The host could not tell how many updates wait."""
        at = self._now()

        def fail(unit: Unit, subject: Subject) -> None:
            if investigation.as_it_was(unit, subject) is not None:
                unit.write_beside(lambda tx: update_scans.fail(tx, host.name, failed, at))

        await self._record(host, fail)

    async def begin_bootstrap(self, host: Host, facts: FactsGathered) -> Wanted | None:
        """The host answered; gives the network that it is to be set up for, or `settle`s it."""
        return await self._record(host, bootstrap.begin, facts)

    async def go_on_with_bootstrap(self, host: Host) -> Wanted | None:
        """The same for a host whose facts are in the log already."""
        return await self._record(host, bootstrap.go_on)

    async def finish_bootstrap(self, host: Host) -> None:
        """The host has all that its network wants."""
        await self._record(host, bootstrap.finish)

    async def send_step(self, host: Host, sent: BootstrapStepSent) -> bool:
        """A step is about to be sent; False where it must not be."""
        return await self._record(host, bootstrap.send_step, sent.step, sent.run, sent.network)

    async def finish_step(self, host: Host, run: str, ending: Ending) -> None:
        """A step of bootstrapping has succeeded."""

        def finish(unit: Unit, subject: Subject) -> None:
            bootstrap.finish_step(unit, subject, run, ending.changed, ending.evidence)
            self._keep_output(unit, host, run, ending.output)

        await self._record(host, finish)

    async def fail_step(
        self, host: Host, run: str, ending: Ending, reason: str, *, passing: bool
    ) -> None:
        """A step of bootstrapping has failed, and with it the host, unless that may pass."""

        def fail(unit: Unit, subject: Subject) -> None:
            bootstrap.fail_step(unit, subject, run, reason, ending.changed, ending.evidence)
            self._keep_output(unit, host, run, ending.output)
            if not passing:
                investigation.fail(unit, subject, "setup", reason)

        await self._record(host, fail)

    def _keep_output(self, unit: Unit, host: Host, run: str, output: bytes) -> None:
        at = self._now()
        if output:
            unit.write_beside(lambda tx: outputs.add(tx, run, host.name, 0, output, at))

    async def refuse_key(self, host: Host, changed: HostKeyChanged) -> None:
        """The host showed another key than the pinned one."""
        await self._record(host, investigation.refuse_key, changed.fingerprint, changed.reason)

    async def fail(self, host: Host, kind: FailureKind, reason: str) -> None:
        """The host cannot be worked with."""
        await self._record(host, investigation.fail, kind, reason)

    async def _record(
        self,
        host: Host,
        command: Callable[Concatenate[Unit, Subject, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        act = Act(self._actor, f"{host.id}@{host.incarnation}", self._now())
        subject = Subject(host.name, host.incarnation, host.credentials)
        fenced = self._ownership.fenced(
            host.name, lambda unit: command(unit, subject, *args, **kwargs)
        )
        result: T = await self._writer.perform(act, fenced)
        return result


@contextmanager
def defects_as_failures(
    what: str, on_defect: Callable[[Exception], None], *, passing: bool = False
) -> Iterator[None]:
    """A defect of this service while it works on one host is reported, and fails that host alone.

    `what` names the work in the sentence of the `HostUnusable` that is raised instead.
    """
    try:
        yield
    except (HostKeyChanged, HostUnusable, *UNRECORDED):
        raise
    except Exception as defect:
        on_defect(defect)
        reason = f"The {what} broke off ({type(defect).__name__}): the service's log tells more."
        raise HostUnusable("setup", reason, passing=passing) from defect
