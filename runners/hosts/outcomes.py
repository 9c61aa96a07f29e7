"""What a look at a host finds, in the process managers' words, and how it gets into the log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar

from domain.aggregates.host import Host
from domain.aggregates.host_events import BootstrapStepSent, FactsGathered, FailureKind
from domain.aggregates.operation_events import Evidence
from domain.commands import bootstrap, investigation
from domain.commands.bootstrap import Changed, Wanted
from domain.commands.investigation import Subject
from domain.event import Act
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.beside_the_log import outputs
from runners.leases.ownership import SINGLE_PROCESS, NoLongerOurs, Ownership
from runners.scheduling.process_manager import UNRECORDED

T = TypeVar("T")


class HostUnusable(Exception):
    """A look that found why the host cannot be worked with; `reason` is for people.

    `passing` says whether the next look may find something else, without anybody's doing.
    """

    def __init__(self, kind: FailureKind, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
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
        """Return where the key is trusted from now on; raise `NoLongerOurs` otherwise."""
        ...


class Probe(Protocol):
    """Connects to a host and asks it what it is."""

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts. Raises `HostUnusable`, `HostKeyChanged`, `LocalFailure`, what `trust`
        raises."""
        ...


class Ending(NamedTuple):
    """What a step left: the files that it wrote, the proof of how it ended, and what it said."""

    changed: Changed
    evidence: Evidence
    output: bytes


class HostOutcomes:
    """Records what was found under a runner's name. `now()` gives the time for events.

    What was found of a host that was removed or registered anew meanwhile is dropped; so is what
    was found of one that is another process's by now.
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
        """Pin the key of the first contact."""
        subject = _subject(host)

        async def trust(algorithm: str, fingerprint: str) -> None:
            if not await self._record(
                host, lambda unit: investigation.pin_key(unit, subject, algorithm, fingerprint)
            ):
                raise NoLongerOurs

        return trust

    async def settle(self, host: Host, facts: FactsGathered) -> None:
        """It said what it is."""
        subject = _subject(host)
        await self._record(host, lambda unit: investigation.settle(unit, subject, facts))

    async def begin_bootstrap(self, host: Host, facts: FactsGathered) -> Wanted | None:
        """It said what it is; gives the network that it is to be set up for, or `settle`s it."""
        subject = _subject(host)
        return await self._record(host, lambda unit: bootstrap.begin(unit, subject, facts))

    async def go_on_with_bootstrap(self, host: Host) -> Wanted | None:
        """The same of a host that said before what it is."""
        subject = _subject(host)
        return await self._record(host, lambda unit: bootstrap.go_on(unit, subject))

    async def finish_bootstrap(self, host: Host) -> None:
        """It has all that its network wants."""
        subject = _subject(host)
        await self._record(host, lambda unit: bootstrap.finish(unit, subject))

    async def send_step(self, host: Host, sent: BootstrapStepSent) -> bool:
        """A step is about to be sent; False where it must not be."""
        subject, step, run, network = _subject(host), sent.step, sent.run, sent.network
        return await self._record(
            host, lambda unit: bootstrap.send_step(unit, subject, step, run, network)
        )

    async def finish_step(self, host: Host, run: str, ending: Ending) -> None:
        """A step went well."""
        subject = _subject(host)

        def finish(unit: Unit) -> None:
            bootstrap.finish_step(unit, subject, run, ending.changed, ending.evidence)
            self._keep_output(unit, host, run, ending.output)

        await self._record(host, finish)

    async def fail_step(
        self, host: Host, run: str, ending: Ending, reason: str, *, passing: bool
    ) -> None:
        """A step went wrong; the host has failed by that, unless it may pass in a moment."""
        subject = _subject(host)

        def fail(unit: Unit) -> None:
            bootstrap.fail_step(unit, subject, run, reason, ending.changed, ending.evidence)
            self._keep_output(unit, host, run, ending.output)
            if not passing:
                investigation.fail(unit, subject, "setup", reason)

        await self._record(host, fail)

    def _keep_output(self, unit: Unit, host: Host, run: str, output: bytes) -> None:
        at = self._now()
        if output:
            unit.write_beside(lambda tx: outputs.add(tx, run, host.name, 0, output, at))

    async def refuse_key(self, host: Host, other: HostKeyChanged) -> None:
        """It showed another key."""
        subject, fingerprint, reason = _subject(host), other.fingerprint, other.reason
        await self._record(
            host, lambda unit: investigation.refuse_key(unit, subject, fingerprint, reason)
        )

    async def fail(self, host: Host, kind: FailureKind, reason: str) -> None:
        """It cannot be worked with."""
        subject = _subject(host)
        await self._record(host, lambda unit: investigation.fail(unit, subject, kind, reason))

    async def _record(self, host: Host, command: Callable[[Unit], T]) -> T:
        act = Act(self._actor, f"{host.id}@{host.incarnation}", self._now())
        fenced = self._ownership.fenced(host.name, command)
        result: T = await self._writer.perform(act, fenced)
        return result


def _subject(host: Host) -> Subject:
    return Subject(host.name, host.incarnation, host.credentials)


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
