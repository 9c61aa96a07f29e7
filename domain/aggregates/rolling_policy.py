"""The rolling policy: which host comes next, what is waited for, and when an operation is over.

Pure: it looks at an operation, at the members that are unavailable, and at the time. Whoever asks
does so in the transaction that stores the answer, so the limits hold whatever is in flight.
"""

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from domain.event import shifted
from domain.refusal import Refusal, invalid
from domain.rollouts.amounts import Amount, amount_of, is_amount
from domain.rollouts.moves import Move, Over, Start, Wait
from domain.rollouts.waves import Wave, Waves, between_waves, checked_waves

Kind = Literal["deploy", "upgrade", "restart", "run"]
Reboot = Literal["never", "if_needed", "always"]
Outcome = Literal["waiting", "in_process", "done", "failed", "unknown", "skipped"]

SCRIPT_BYTES_MAX = 64 * 1024
HEALTHY_FOR_S_MAX = 24 * 3600.0
STEP_TIMEOUT_S_MAX = 7 * 24 * 3600.0
STEP_TIMEOUT_S: dict[Kind, float] = {
    "deploy": 3600.0,
    "upgrade": 3600.0,
    "restart": 600.0,
    "run": 3600.0,
}
"""How long a step of a host may take, where the request does not say."""
DRAIN_TIMEOUT_S = 600.0
"""How long the pods of a node may take to leave, where the request does not say."""
AVAILABLE_AGAIN_S = 600.0
"""How long an operation that `max_unavailable` stops waits for members to come back."""

# What rpm-ostree takes as a version or a checksum; it never starts like an option.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+~-]{0,127}", re.ASCII)


@dataclass(frozen=True)
class Options:
    """How careful to be. Times in seconds; `step_timeout_s` 0 is the default of the kind."""

    max_parallel: Amount = 1
    max_failures: Amount = 0
    max_unavailable: Amount | None = None
    healthy_for_s: float = 0.0
    step_timeout_s: float = 0.0
    reboot: Reboot = "never"
    drain: bool | None = None
    """Whether pods leave a node before its step; None (in a request) is wherever it has some."""
    waves: list[Wave] = field(default_factory=list)
    """Which hosts come first, and what stands between; without any all hosts are one wave."""
    starts_at: str = ""
    """No host is started before; "" is at once."""
    window: str = ""
    """The name of a window: hosts are started only while it is open."""
    gate: str = ""
    """The name of a check in the settings, which is asked before each start of a host."""
    override_policy: bool = False
    """Whether an administrator lets it do what the policy of its cluster does not."""

    def plain(self) -> dict[str, Any]:
        """The options as plain values, as events store them."""
        return asdict(self)


@dataclass(frozen=True)
class Limits:
    """What the options come to, in hosts. `unavailable` is None where there is no such limit."""

    parallel: int
    failures: int
    unavailable: int | None


def checked_version(text: str) -> str:
    """A version to deploy, or a refusal."""
    if not VERSION.fullmatch(text):
        raise invalid(
            "version must be 1 to 128 of A-Z a-z 0-9 . _ : + ~ - and start with a letter or a"
            " digit.",
            "version",
        )
    return text


def checked_script(text: str) -> str:
    """A script to run, or a refusal."""
    if not 0 < len(text.encode("utf-8", "replace")) <= SCRIPT_BYTES_MAX or "\0" in text:
        raise invalid(f"script must be 1 to {SCRIPT_BYTES_MAX} bytes of text.", "script")
    return text


def checked_options(kind: Kind, given: dict[str, Any]) -> Options:
    """Options as a client sent them, with plain types already right; or a refusal."""
    options = Options(**given | {"waves": checked_waves(given.get("waves") or [])})
    for key, least in (("max_parallel", 1), ("max_failures", 0), ("max_unavailable", 1)):
        _must_be_an_amount(key, getattr(options, key), least)
    if not 0 <= options.healthy_for_s <= HEALTHY_FOR_S_MAX:
        raise _wrong("healthy_for_s", f"a number of seconds from 0 to {HEALTHY_FOR_S_MAX:g}")
    if "step_timeout_s" in given and not 1 <= options.step_timeout_s <= STEP_TIMEOUT_S_MAX:
        raise _wrong("step_timeout_s", f"a number of seconds from 1 to {STEP_TIMEOUT_S_MAX:g}")
    if kind == "restart" and "reboot" in given:
        raise invalid("reboot is no option of a restart, which always does.", "reboot")
    return options


def _must_be_an_amount(key: str, amount: Amount | None, least: int) -> None:
    if amount is not None and not is_amount(amount, least):
        raise _wrong(key, f"a number from {least} on, or a percentage such as '25%'")


def _wrong(key: str, what: str) -> Refusal:
    return invalid(f"{key} must be {what}.", key)


def limits(options: Options, taken: int, members: int) -> Limits:
    """The limits as numbers of hosts. Percentages are of the hosts that the operation takes, and
    for `max_unavailable` of all members of the cluster."""
    unavailable = options.max_unavailable
    return Limits(
        max(1, amount_of(options.max_parallel, taken)),
        amount_of(options.max_failures, taken),
        None if unavailable is None else max(1, amount_of(unavailable, members)),
    )


class Progress(Waves, Protocol):
    """An operation, as far as the policy looks at it."""

    @property
    def limits(self) -> Limits:
        """The limits in numbers of hosts, from the options."""
        ...

    @property
    def state(self) -> str:
        """`in_process`, `paused` or `cancelling`."""
        ...

    @property
    def changed_at(self) -> str:
        """When the operation's last event happened that says more than that it waits."""
        ...

    @property
    def told(self) -> Wait:
        """What its record says that it waits for."""
        ...

    @property
    def members_left_s(self) -> float:
        """How long it may still wait for members, within its time."""
        ...

    @property
    def is_between_waves(self) -> bool:
        """Whether all hosts of a wave have had their turn, and the next has not begun."""
        ...

    def with_outcome(self, *outcomes: Outcome) -> list[str]:
        """The addresses of hosts with these outcomes, in order."""
        ...

    def count(self, *outcomes: Outcome) -> int:
        """How many hosts have these outcomes."""
        ...

    @property
    def next_host(self) -> str | None:
        """The first of those that wait."""
        ...


def next_move(operation: Progress, unavailable: Collection[str], at: str) -> Move:
    """What follows now. `unavailable`: the members that are not active, for whatever reason.

    It takes no longer the more hosts are done: only those in process are looked at.
    """
    busy = operation.with_outcome("in_process")
    following = operation.next_host
    if operation.state == "cancelling":
        return Wait("Hosts in process are being stopped.") if busy else Over("cancelled")
    lost = operation.count("failed", "unknown")
    if lost > operation.limits.failures:
        if busy:
            return Wait("Hosts in process finish; no other is started.")
        return Over("failed", f"{lost} failed or unknown: max_failures was exceeded.")
    if following is None:
        return Wait("Hosts in process finish.") if busy else _at_its_end(operation)
    if operation.state == "paused":
        return Wait("It is paused.")
    if operation.is_between_waves:
        return Wait("Hosts of its wave finish.") if busy else between_waves(operation, at)
    if len(busy) >= operation.limits.parallel:
        return Wait("As many hosts as max_parallel allows are in process.")
    return _unless_unavailable(operation, following, {*busy, *unavailable}, at)


def _unless_unavailable(operation: Progress, address: str, already: set[str], at: str) -> Move:
    most = operation.limits.unavailable
    if most is None or len(already | {address}) <= most:
        return Start(address)
    if operation.count("in_process"):
        return Wait("As many members as max_unavailable allows are unavailable.")
    until = _waits_for_members_until(operation, at)
    if at < until:
        return Wait("It waits for unavailable members to come back.", "members", until)
    return Over("failed", f"{len(already)} unavailable: max_unavailable forbids to go on.")


def _waits_for_members_until(operation: Progress, at: str) -> str:
    """It has waited since its last event, unless it waited for something else since."""
    told, latest = operation.told, shifted(at, operation.members_left_s)
    if told.what == "members" and told.until is not None:
        until = told.until
    else:
        until = shifted(operation.changed_at if told.what == "" else at, operation.members_left_s)
    # Later than if it began now: the clock was set back, and nobody knows how long it has been.
    return min(until, latest)


def _at_its_end(operation: Progress) -> Over:
    rest = operation.count("failed", "unknown", "skipped")
    if not rest:
        return Over("finished")
    return Over("partial", f"{rest} failed, unknown or skipped.")
