"""How far an operation has come with its hosts and waves, and what it waits for as a whole."""

from collections import OrderedDict
from typing import assert_never

from domain.aggregate import Aggregate
from domain.aggregates.host_progress import NEXT_OUTCOME, HostProgress
from domain.aggregates.operation_events import (
    AnyOperationEvent,
    HostUnwell,
    HostWell,
    Started,
    Waits,
    WaveApproved,
    WaveEvent,
    WaveStarted,
)
from domain.aggregates.rolling_policy import AVAILABLE_AGAIN_S, Outcome
from domain.event import seconds_between
from domain.refusal import conflict
from domain.rollouts.moves import Wait
from domain.rollouts.waves import Wave

NOTHING = Wait("")


class OperationProgress(Aggregate[AnyOperationEvent]):
    """What has become of the hosts of an operation, wave by wave; all are the rest without any."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.hosts: dict[str, HostProgress] = {}
        self.skipped: list[str] = []
        # Kept by outcome, in order of turn: a large fleet is asked about after each event.
        # OrderedDict: those that wait leave at its front, which takes a dict ever longer.
        self._by_outcome: dict[Outcome, OrderedDict[str, None]] = {
            outcome: OrderedDict() for outcome in NEXT_OUTCOME
        }
        self.wave = 1
        self.wave_ends: list[int] = []
        self.done_in_wave = 0
        self.unwell: dict[str, str] = {}
        self.soak = ("", "")
        self.approved = 1
        self.starter = ""
        self.because = ""
        self.told = NOTHING
        self.members_left_s = AVAILABLE_AGAIN_S

    @property
    def listed(self) -> list[Wave]:
        """The waves that it was begun with."""
        raise NotImplementedError

    @property
    def next_host(self) -> str | None:
        """The first of those that wait."""
        return next(iter(self._by_outcome["waiting"]), None)

    def count(self, *outcomes: Outcome) -> int:
        """How many hosts have these outcomes."""
        return sum(len(self._by_outcome[outcome]) for outcome in outcomes)

    def with_outcome(self, *outcomes: Outcome) -> list[str]:
        """The addresses of hosts with these outcomes: waiting in order, others as they came."""
        return [address for outcome in outcomes for address in self._by_outcome[outcome]]

    @property
    def rules(self) -> Wave:
        """What stands between its wave and the next. Only where there is a next one."""
        return self.listed[self.wave - 1]

    @property
    def wave_size(self) -> int:
        """How many hosts are in its wave. Only where there is a next one."""
        before = self.wave_ends[self.wave - 2] if self.wave > 1 else 0
        return self.wave_ends[self.wave - 1] - before

    @property
    def is_between_waves(self) -> bool:
        """Whether all hosts of a wave have had their turn, and the next has not begun."""
        has_next = self.wave <= len(self.wave_ends)
        had_turn = len(self.hosts) - self.count("waiting")
        return has_next and had_turn >= self.wave_ends[self.wave - 1]

    @property
    def first_of_next_wave(self) -> str | None:
        """The host that the next wave begins with. Only between waves, where there is a next."""
        ends = self.wave_ends[self.wave :]
        is_empty = bool(ends) and ends[0] == self.wave_ends[self.wave - 1]
        return None if is_empty else self.next_host

    # Commands

    def tell(self, wait: Wait) -> None:
        """Say what it waits for as a whole. The same again is no news."""
        told = wait if wait.what else NOTHING
        if told != self.told:
            self.emit(Waits(told.what, told.until, told.why))

    def start_wave(self, wave: int) -> None:
        """Begin with the next wave; the policy decided that it is its turn."""
        self.emit(WaveStarted(wave))

    def approve(self, wave: int, *, by_second: bool, begun_by: str = "") -> None:
        """Say that a wave may begin. Said before is no news.

        `by_second`: by another person than `begun_by`, who is behind the beginning.
        """
        if not 2 <= wave <= len(self.wave_ends) + 1:
            raise conflict(f"There is no wave {wave} that anybody could approve.", "wave")
        if wave <= self.approved or wave <= self.wave:
            return
        rules = self.listed[wave - 2]
        if not rules["approval"]:
            raise conflict(f"Wave {wave} needs no approval.", "wave")
        if wave > self.wave + 1 or not self.is_between_waves or self.count("in_process"):
            raise conflict(
                f"Wave {wave - 1} is not over: approve the next once it is seen how it went.",
                "wave",
            )
        if rules["approval"] == "second" and not by_second:
            who = begun_by or self.starter
            raise conflict(
                f"{who} began the operation: another person must approve wave {wave}.", "wave"
            )
        self.emit(WaveApproved(wave))

    def lose(self, address: str, reason: str) -> None:
        """A host that was done is not active any more: that stops the next wave."""
        if self.wave_ends and address not in self.unwell:
            self.emit(HostUnwell(address, reason))

    def regain(self, address: str) -> None:
        """It is active again."""
        if address in self.unwell:
            self.emit(HostWell(address))

    # State

    def begin(self, event: Started) -> None:
        """Fold the beginning."""
        self.skipped = [address for address, _ in event.skipped]
        self.hosts = {a: HostProgress("waiting", attempts=tried) for a, tried in event.hosts}
        self._by_outcome["waiting"] = OrderedDict.fromkeys(self.hosts)
        self._by_outcome["skipped"] = OrderedDict.fromkeys(self.skipped)
        self.wave_ends = event.waves or []
        self.starter, self.because = event.actor, event.correlation

    def settle(self, address: str, outcome: Outcome) -> HostProgress:
        """Fold what became of a host."""
        host = self.hosts[address]
        if outcome not in NEXT_OUTCOME[host.outcome]:
            raise ValueError(f"{self.id}: {address} cannot go from {host.outcome} to {outcome}")
        del self._by_outcome[host.outcome][address]
        self._by_outcome[outcome][address] = None
        host.outcome = outcome
        self.done_in_wave += outcome == "done"
        return host

    def go_on(self) -> None:
        """It waits for nothing but its own hosts."""
        self.told, self.members_left_s = NOTHING, AVAILABLE_AGAIN_S

    def _count_wait(self, event: Waits) -> None:
        # A window that closes interrupts the wait for members: else short ones made it endless.
        until = self.told.until
        if event.what == "window" and self.told.what == "members" and until is not None:
            left_s = max(0.0, seconds_between(event.at, until))
            self.members_left_s = min(self.members_left_s, left_s)  # the clock may be set back

    def apply_to_waves(self, event: WaveEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Waits():
                self._count_wait(event)
                self.told = Wait(event.reason, event.what, event.until)
                if event.what == "soak" and event.until and event.until != self.soak[1]:
                    self.soak = (event.at, event.until)
            case WaveStarted():
                self.wave, self.done_in_wave, self.soak = event.wave, 0, ("", "")
            case WaveApproved():
                self.approved = event.wave
            case HostUnwell():
                self.unwell[event.address] = event.reason
                self.soak = ("", "")
            case HostWell():
                del self.unwell[event.address]
            case _:
                assert_never(event)
