"""How far an operation has come with one of its hosts."""

from dataclasses import dataclass, field

from domain.aggregates.operation_events import Evidence, Step
from domain.aggregates.rolling_policy import Outcome

NEXT_OUTCOME: dict[Outcome, frozenset[Outcome]] = {
    "waiting": frozenset({"in_process"}),
    "in_process": frozenset({"done", "failed", "unknown"}),
    "done": frozenset(),
    "failed": frozenset(),
    "unknown": frozenset(),
    "skipped": frozenset(),
}
"""The life cycle of each host."""


@dataclass
class HostProgress:
    """How far one host has come."""

    outcome: Outcome
    step: Step = ""
    step_at: str = ""
    """When the step began; that of a reboot begins anew when it is requested."""
    attempts: int = 0
    """How often it was tried, in this operation and those that it retries."""
    sent: bool = False
    """Whether the step may have been sent to the host."""
    container_manager: str = ""
    """Whose node it is; "" where it is none that could be drained."""
    boot_id: str = ""
    """Before the reboot that was requested."""
    waits_for: str = ""
    """What its step waits for on the host; "" mostly."""
    evidence: Evidence = field(default_factory=dict)
