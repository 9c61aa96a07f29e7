"""How far an operation is, as its events tell it."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from commctl.records import Event, Operation, OperationHost
from commctl.show.operations import until
from commctl.show.times import read

OVER = ("finished", "partial", "failed", "cancelled")
ENDED_SHOWN = 5
PREFIX = "operation."
FINAL = {"host_done": "done", "host_failed": "failed", "host_unknown": "unknown"}

STOPS_WAVES = {"host_unwell": "not active", "host_well": "active again"}


@dataclass
class HostProgress:
    """One host of it."""

    address: str
    outcome: str
    step: str
    since: datetime | None
    """Of the step."""
    reason: str


class Line(NamedTuple):
    """What one event says, for a pipe."""

    time: str
    host: str
    step: str
    outcome: str
    reason: str


class Progress:
    """An operation and its hosts. Events may be told again: nothing counts twice."""

    def __init__(self, operation: Operation, hosts: Iterable[OperationHost]) -> None:
        self.operation = operation
        self.status = operation["status"]
        self.cancelling = operation["cancelling"]
        self.reason = operation["reason"]
        waits = operation.get("waits_for")
        self.waits = until(waits["reason"], waits["until"]) if waits else ""
        """What it waits for as a whole, and until when."""
        self.wave = operation.get("wave") or 0
        self.waves = len(operation.get("waves") or ())
        """In which of how many waves it is; 0 where it has none."""
        self.hosts = {host["address"]: _of_record(host) for host in hosts}
        self.counts = Counter(host.outcome for host in self.hosts.values())
        self.ended: deque[str] = deque(maxlen=ENDED_SHOWN)
        """The addresses of those that ended last."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.status in OVER

    @property
    def in_process(self) -> list[HostProgress]:
        """The hosts that are in their turn, the longest first."""
        return [host for host in self.hosts.values() if host.outcome == "in_process"]

    @property
    def total(self) -> int:
        """How many it takes."""
        return len(self.hosts) - self.counts["skipped"]

    @property
    def done(self) -> int:
        """How many have ended, whatever came of them."""
        return self.total - self.counts["waiting"] - self.counts["in_process"]

    def apply(self, event: Event) -> Line:
        """Note an event of this operation; gives what it says."""
        kind, data = event["type"].removeprefix(PREFIX), event.get("data") or {}
        address, reason = str(data.get("address", "")), str(data.get("reason", ""))
        host = self.hosts.get(address)
        if kind in STOPS_WAVES:  # it is done, and stays that
            return Line(event["time"], address, "", STOPS_WAVES[kind], reason)
        if kind in ("host_started", "ended"):
            self.waits = ""
        if host is not None:
            outcome = self._apply_to_host(host, kind, event)
            step = host.step if kind != "step_done" else str(data.get("step", ""))
            return Line(event["time"], address, step, outcome, reason)
        match kind:
            case "paused" | "resumed":
                self.status = "paused" if kind == "paused" else "in_process"
            case "waits":
                self.waits = until(reason, data.get("until"))
                return Line(event["time"], "", "", "waits" if reason else "goes on", reason)
            case "wave_started" | "wave_approved":
                self.wave = int(data["wave"]) if "started" in kind else self.wave
                said = f"wave {data.get('wave')} {'began' if 'started' in kind else 'approved'}"
                return Line(event["time"], "", "", said, reason)
            case "cancel_requested":
                self.cancelling = True
            case "ended":
                self.status, self.reason = str(data.get("status", "")), reason
                return Line(event["time"], "", "", self.status, reason)
            case _:
                pass  # of a later version: it is told all the same
        return Line(event["time"], address, "", kind.replace("_", " "), reason)

    def _apply_to_host(self, host: HostProgress, kind: str, event: Event) -> str:
        data, at = event.get("data") or {}, read(event.get("at") or event["time"])
        host.reason = str(data.get("reason", ""))
        if kind in FINAL:
            self._become(host, FINAL[kind])
            host.since = at
            if host.address in self.ended:
                self.ended.remove(host.address)
            self.ended.append(host.address)
            return FINAL[kind]
        self._become(host, "in_process")
        match kind:
            case "host_started":
                kind_of_all = self.operation["kind"]
                host.step = "reboot" if kind_of_all == "restart" else kind_of_all
                host.since = at
                return "started"
            case "step_sent":
                host.step, host.since = str(data["step"]), at
                return "sent"
            case "step_done":
                host.step, host.since = str(data["next"]), at
                return "step done"
            case "step_waits":
                return "waits" if host.reason else "goes on"
            case _:
                pass
        return kind.replace("_", " ")

    def _become(self, host: HostProgress, outcome: str) -> None:
        self.counts[host.outcome] -= 1
        self.counts[outcome] += 1
        host.outcome = outcome


def _of_record(host: OperationHost) -> HostProgress:
    since = host["finished_at"] or host["started_at"]
    return HostProgress(
        host["address"],
        host["outcome"],
        host["step"] or "",
        read(since) if since else None,
        host["reason"],
    )
