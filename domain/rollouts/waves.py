"""Waves: which hosts come first, and what stands between two waves.

A wave begins when all hosts of the one before have ended within the limits of the operation, those
that are done have been `active` without a break for its `soak_s`, and somebody approved, where its
`approval` says so. What follows the last one of the list is the rest.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Literal, Protocol, TypedDict

from domain.event import shifted
from domain.labels import label_pair
from domain.refusal import Refusal, conflict, invalid
from domain.rollouts.amounts import Amount, amount_of, is_amount
from domain.rollouts.moves import BeginWave, Over, Wait

WAVES_MAX = 20
SOAK_S_MAX = 30 * 24 * 3600.0

Approval = bool | Literal["second"]
"""Whether somebody must approve what follows; `"second"`: not whoever began the operation."""


class Wave(TypedDict):
    """One wave: how many hosts with all of the waves before, or those with a label."""

    hosts: Amount | dict[str, str]
    soak_s: float
    approval: Approval


def checked_waves(given: Iterable[Mapping[str, Any]]) -> list[Wave]:
    """Waves as a client sent them, with plain types already right; or a refusal."""
    waves: list[Wave] = [
        {
            "hosts": one["hosts"],
            "soak_s": float(one.get("soak_s", 0.0)),
            "approval": one.get("approval", False),
        }
        for one in given
    ]
    if len(waves) > WAVES_MAX:
        raise invalid(f"There may be {WAVES_MAX} waves at most.", "waves")
    for number, wave in enumerate(waves, 1):
        if not 0 <= wave["soak_s"] <= SOAK_S_MAX:
            raise _wrong(number, f"soak_s must be a number of seconds from 0 to {SOAK_S_MAX:g}")
        if wave["approval"] not in (False, True, "second"):
            raise _wrong(number, 'approval must be true, false or "second"')
        _must_be_hosts(number, wave["hosts"])
    return waves


def _must_be_hosts(number: int, hosts: Amount | dict[str, str]) -> None:
    if isinstance(hosts, dict):
        try:
            label_pair(hosts.get("label", ""))
        except Refusal as refusal:
            raise _wrong(number, f"hosts.label: {refusal.sentence.rstrip('.')}") from None
        return
    if not is_amount(hosts, 1):
        raise _wrong(
            number,
            'hosts must be a number from 1 on, a percentage such as "10%",'
            ' or {"label": "KEY=VALUE"}',
        )


def _wrong(number: int, what: str) -> Refusal:
    return invalid(f"Wave {number}: {what}.", "waves")


def in_waves(
    waves: Iterable[Wave],
    addresses: Iterable[str],
    has_label: Callable[[str, str, str], bool],
    *,
    strict: bool = True,
) -> tuple[list[str], list[int]]:
    """The hosts in order of turn, and how many have had theirs at the end of each wave.

    `has_label` of an address, a key and a value. A number or percentage (of all, rounded down, one
    at least) counts the hosts of the waves before as well. `strict`: a label that nobody has is
    refused, for who asked for canaries does not want to go on without.
    """
    left = dict.fromkeys(addresses)
    whole, order, ends = len(left), list[str](), list[int]()
    for wave in waves:
        hosts = wave["hosts"]
        if isinstance(hosts, dict):
            key, value = label_pair(hosts["label"])
            taken = [address for address in left if has_label(address, key, value)]
            if strict and not any(has_label(each, key, value) for each in (*taken, *order)):
                raise conflict(f"No host that it takes is labelled {key}={value}.", "waves")
        else:
            taken = list(islice(left, max(0, max(1, amount_of(hosts, whole)) - len(order))))
        for address in taken:
            del left[address]
        order += taken
        ends.append(len(order))
    return order + list(left), ends


class Waves(Protocol):
    """An operation, as far as its waves are looked at."""

    @property
    def wave(self) -> int:
        """Which wave it is in, from 1."""
        ...

    @property
    def wave_size(self) -> int:
        """How many hosts are in that wave."""
        ...

    @property
    def done_in_wave(self) -> int:
        """How many of them are done."""
        ...

    @property
    def rules(self) -> Wave:
        """What stands between that wave and the next."""
        ...

    @property
    def unwell(self) -> Mapping[str, str]:
        """Hosts that were done and are not active any more: address, and why."""
        ...

    @property
    def soak(self) -> tuple[str, str]:
        """When the soak began and when it is over; both "" where none is under way."""
        ...

    @property
    def approved(self) -> int:
        """Up to which wave somebody approved."""
        ...


def between_waves(operation: Waves, at: str) -> BeginWave | Wait | Over:
    """What follows once all hosts of a wave have ended."""
    wave, size, rules = operation.wave, operation.wave_size, operation.rules
    if size and not operation.done_in_wave:
        return Over("failed", f"None of the {size} hosts of wave {wave} was done.")
    if operation.unwell:
        address, why = next(iter(operation.unwell.items()))
        more = f" {len(operation.unwell)} are not active." if len(operation.unwell) > 1 else ""
        anew = " The soak begins anew once all are active." if rules["soak_s"] else ""
        return Wait(f"{address} was done, and is not active: {why}{more}{anew}", "soak")
    begun, end = operation.soak
    # Begun later than now: the clock was set back, and nobody knows how long it has been.
    if rules["soak_s"] and (not end or at < begun):
        return _soaks(wave, shifted(at, rules["soak_s"]))
    if rules["soak_s"] and at < end:
        return _soaks(wave, end)
    if rules["approval"] and operation.approved <= wave:
        who = "a second person" if rules["approval"] == "second" else "somebody"
        return Wait(f"Wave {wave} is over: {who} must approve wave {wave + 1}.", "approval")
    return BeginWave(wave + 1)


def _soaks(wave: int, until: str) -> Wait:
    return Wait(f"Wave {wave} is over, and soaks.", "soak", until)
