"""The policy by itself: options, limits, and the next move."""

from typing import Any, ClassVar

import pytest

from domain.aggregates.rolling_policy import (
    AVAILABLE_AGAIN_S,
    Kind,
    Limits,
    Options,
    Outcome,
    checked_options,
    checked_version,
    limits,
    next_move,
)
from domain.event import shifted
from domain.refusal import Refusal
from domain.rollouts.moves import Move, Over, Start, Wait
from domain.rollouts.waves import Wave

AT = "2026-01-02T03:00:00.000000"


class Snapshot:
    """An operation at one moment, from a word for each host: `d` done, `w` waiting …"""

    WORDS: ClassVar[dict[str, Outcome]] = {
        "w": "waiting", "i": "in_process", "d": "done", "f": "failed", "u": "unknown",
        "s": "skipped",
    }  # fmt: skip

    def __init__(self, hosts: str, limits: Limits, state: str = "in_process") -> None:
        self.limits = limits
        self.state = state
        self.changed_at = AT
        self.told = Wait("")
        self.members_left_s = AVAILABLE_AGAIN_S
        self.is_between_waves = False
        self.wave = 1
        self.wave_size = self.done_in_wave = 1
        self.rules: Wave = {"hosts": 1, "soak_s": 0.0, "approval": False}
        self.unwell: dict[str, str] = {}
        self.soak = ("", "")
        self.approved = 1
        self._hosts = [self.WORDS[letter] for letter in hosts]

    @property
    def next_host(self) -> str | None:
        """The first that waits."""
        return next(iter(self.with_outcome("waiting")), None)

    def count(self, *outcomes: Outcome) -> int:
        """How many."""
        return len(self.with_outcome(*outcomes))

    def with_outcome(self, *outcomes: Outcome) -> list[str]:
        """Their addresses are their numbers."""
        return [str(number) for number, found in enumerate(self._hosts) if found in outcomes]


ONE = Limits(1, 0, None)


@pytest.mark.parametrize(
    ("hosts", "found", "state", "expected"),
    [
        ("ww", ONE, "in_process", Start("0")),
        ("dw", ONE, "in_process", Start("1")),
        ("iw", ONE, "in_process", Wait),
        ("iw", Limits(2, 0, None), "in_process", Start("1")),
        (
            "fw",
            ONE,
            "in_process",
            Over("failed", "1 failed or unknown: max_failures was exceeded."),
        ),
        (
            "uw",
            ONE,
            "in_process",
            Over("failed", "1 failed or unknown: max_failures was exceeded."),
        ),
        ("fiw", Limits(2, 0, None), "in_process", Wait),
        ("fuw", Limits(1, 2, None), "in_process", Start("2")),
        ("fd", Limits(1, 1, None), "in_process", Over("partial", "1 failed, unknown or skipped.")),
        ("ds", ONE, "in_process", Over("partial", "1 failed, unknown or skipped.")),
        ("dd", ONE, "in_process", Over("finished")),
        ("", ONE, "in_process", Over("finished")),
        ("dw", ONE, "paused", Wait),
        ("di", ONE, "paused", Wait),
        ("dd", ONE, "paused", Over("finished")),
        ("iw", ONE, "cancelling", Wait),
        ("dw", ONE, "cancelling", Over("cancelled")),
    ],
)
def test_the_next_move(hosts: str, found: Limits, state: str, expected: Move | type) -> None:
    move = next_move(Snapshot(hosts, found, state), (), AT)
    assert isinstance(move, expected) if isinstance(expected, type) else move == expected


def test_members_that_are_unavailable_count_together_with_those_in_process() -> None:
    both = Limits(5, 0, 2)
    assert next_move(Snapshot("iww", both), (), AT) == Start("1")
    assert isinstance(next_move(Snapshot("iww", both), {"elsewhere"}, AT), Wait)
    assert next_move(Snapshot("iww", both), {"0"}, AT) == Start("1"), "not counted twice"
    assert next_move(Snapshot("iww", both), {"1"}, AT) == Start("1"), "it is so already"


def test_an_operation_waits_for_members_to_come_back_but_not_for_ever() -> None:
    stuck = Snapshot("dw", Limits(1, 0, 1))
    assert next_move(stuck, {"a", "b"}, AT) == Wait(
        "It waits for unavailable members to come back.", "members", shifted(AT, AVAILABLE_AGAIN_S)
    )
    late = "2026-01-02T03:10:00.000000"
    move = next_move(stuck, {"a", "b"}, late)
    assert isinstance(move, Over)
    assert move.status == "failed"


@pytest.mark.parametrize(
    ("given", "taken", "members", "expected"),
    [
        ({}, 10, 10, Limits(1, 0, None)),
        ({"max_parallel": "25%"}, 10, 12, Limits(2, 0, None)),
        ({"max_parallel": "25%"}, 3, 3, Limits(1, 0, None)),
        ({"max_failures": "25%"}, 3, 9, Limits(1, 0, None)),
        ({"max_failures": "100%"}, 3, 9, Limits(1, 3, None)),
        ({"max_unavailable": "10%"}, 3, 29, Limits(1, 0, 2)),
        ({"max_unavailable": "10%"}, 3, 3, Limits(1, 0, 1)),
        ({"max_parallel": 50, "max_failures": 7, "max_unavailable": 8}, 3, 3, Limits(50, 7, 8)),
    ],
)
def test_percentages_round_down_and_some_to_at_least_one(
    given: dict[str, Any], taken: int, members: int, expected: Limits
) -> None:
    assert limits(checked_options("upgrade", given), taken, members) == expected


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("upgrade", {"max_parallel": 0}),
        ("upgrade", {"max_parallel": "0%"}),
        ("upgrade", {"max_parallel": "101%"}),
        ("upgrade", {"max_parallel": "25"}),
        ("upgrade", {"max_parallel": "2\u0665%"}),
        ("upgrade", {"max_failures": -1}),
        ("upgrade", {"max_unavailable": 0}),
        ("upgrade", {"max_unavailable": 1_000_001}),
        ("upgrade", {"healthy_for_s": -1.0}),
        ("upgrade", {"healthy_for_s": float("nan")}),
        ("upgrade", {"step_timeout_s": 0.0}),
        ("upgrade", {"step_timeout_s": float("inf")}),
        ("restart", {"reboot": "always"}),
    ],
)
def test_an_impossible_option_is_refused_by_its_name(kind: Kind, given: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        checked_options(kind, given)
    assert (refused.value.kind, refused.value.key) == ("invalid", next(iter(given)))


def test_a_version_is_plain_text_that_no_shell_and_no_option_parser_minds() -> None:
    for text in ("27.93", "7.1.2026+1", "f" * 64, "40:20260101.0~rc-1"):
        assert checked_version(text) == text
    for text in ("", "-r", "--help", "1 2", "1;reboot", "$(x)", "1\n", "a/b", "'", "é", "x" * 129):
        with pytest.raises(Refusal) as refused:
            checked_version(text)
        assert refused.value.key == "version"


def test_options_survive_their_way_through_an_event() -> None:
    options = checked_options("upgrade", {"max_parallel": "25%", "reboot": "always"})
    assert Options(**options.plain()) == options
