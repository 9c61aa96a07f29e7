"""What is planned in a story: windows, the policy of its cluster, and a schedule, by its seed."""

import random
from collections.abc import Callable
from itertools import count
from typing import Any

from domain.aggregates.planning.window import Hours
from domain.commands import budget, schedule_commands
from domain.rollouts.amounts import Amount
from tests.domain.aggregates.test_operations import settle_members
from tests.simulation.gates import POLICY_GATE

ZONE = "Australia/Lord_Howe"
WINDOW = "nights"
POLICY_WINDOW = "hours"
SCHEDULE = "often"
SCHEDULED_CLUSTER = "night"
SCHEDULED_HOST = "10.0.1.1"
CRONS = ["*/2 * * * *", "*/5 * * * *", "1-59/7 * * * *"]
LEAST_S = 1500.0
"""A story with a schedule lasts so long at least."""

# Any: a unit in memory.
Change = Callable[[Any], None]


class Plans:
    """What somebody planned, and how they change it now and then."""

    def __init__(self, seed: int) -> None:
        self.nights = random.Random(f"windows of {seed}")
        self._rules = random.Random(f"policies of {seed}")
        self._firings = random.Random(f"schedules of {seed}")
        self.has_window = self.nights.random() >= 0.7
        self.has_policy = self._rules.random() < 0.25
        self.has_schedule = self._firings.random() < 0.25
        self._numbers = count(1)

    @property
    def overrides_policy(self) -> bool:
        """Whether an administrator lets the operation do what the policy does not."""
        return self.has_policy and self._rules.random() < 0.15

    def new_id(self) -> str:
        """Of an operation that the schedule begins."""
        return f"019a8f6e-6c3c-7d3e-9b1a-{next(self._numbers):012d}"

    def changes(self) -> list[Change]:
        """What is changed next."""
        found: list[Change] = []
        if self.has_window:
            found.append(self.define_window)
        if self.has_policy:
            found.append(self.move_hours if self._rules.random() < 0.6 else self.change_policy)
        if self.has_schedule and self._firings.random() < 0.15:
            found.append(self.define_schedule)
        return found

    # Any: a unit in memory.
    def define_window(self, unit: Any) -> None:
        """Let the window of the operation be another one."""
        unit.window(WINDOW).define(_hours(self.nights))

    def move_hours(self, unit: Any) -> None:
        """Let the window of the policy be another one."""
        unit.window(POLICY_WINDOW).define(_hours(self._rules))

    def change_policy(self, unit: Any) -> None:
        """Let the cluster have another one, perhaps with a window and a gate."""
        rules, window = self._rules, ""
        if rules.random() < 0.6:
            self.move_hours(unit)
            window = POLICY_WINDOW
        gate = POLICY_GATE if rules.random() < 0.5 else ""
        amounts: list[Amount | None] = [None, None, 1, 2, "50%"]
        budget.change_policy(unit, "web", rules.choice(amounts), window, gate)

    @staticmethod
    def settle_scheduled(unit: Any) -> None:
        """A cluster of its own, with one host."""
        settle_members(unit, [SCHEDULED_HOST], cluster=SCHEDULED_CLUSTER)

    def define_schedule(self, unit: Any) -> None:
        """Let it fire like this from now on."""
        operation = {
            "kind": "restart",
            "cluster": SCHEDULED_CLUSTER,
            "step_timeout_s": self._firings.choice([30, 200]),
        }
        cron = self._firings.choice(CRONS)
        schedule_commands.define(unit, SCHEDULE, cron, ZONE, operation)


def _hours(fate: random.Random) -> Hours:
    """A window that opens every few minutes."""
    starts = fate.choice(["*/5 * * * *", "*/10 * * * *", "7-59/20 * * * *"])
    return Hours(ZONE, starts, fate.choice([150, 250, 400]))
