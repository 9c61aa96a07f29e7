"""`commctl … --waves`, `--starts-at` and `op approve`."""

from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from commctl.exits import WrongUse
from commctl.rollouts.waves import start_of, wave_told, waves_of
from commctl.show.operations import waits
from commctl.show.output import Output
from commctl.watch.progress import Progress
from commctl.watch.screen import Screen
from tests.commctl.operator import Operator
from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.support.service import Service

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.dear_on("postgresql")
def test_a_rollout_in_waves_is_approved_and_watched(
    operator: Operator, service: Service, fleet: Fleet
) -> None:
    rolled = Rolled(service, fleet.add_many(["fedora"] * 2))
    waves = ("--waves", "1", "--soak", "1s", "--approve")
    begun = operator.run("upgrade", rolled.cluster, *waves, "-y", "--detach", "-o", "name")
    rolled.name = begun.stdout.strip()
    assert "in 2 waves: 1, then the rest" in begun.stderr
    rolled.waiting_for("approval")
    words = "somebody must approve wave 2"
    shown = operator.run("op", "show", rolled.cluster).stdout
    assert words in shown
    assert "1 host (now), 2 hosts" in shown
    short = rolled.name[:13]
    first = operator.run("status", "-o", "table").stdout
    assert f"approval of operation {short}: Wave 1 is over: {words}" in " ".join(first.split())
    assert f"commctl op approve {short}" in " ".join(first.split())
    assert "more" not in first
    left = operator.run("op", "watch", rolled.cluster, "--timeout", "1s", status=124).stderr
    assert f"waits: Wave 1 is over: {words}" in left
    assert words in operator.run("status", "-o", "json").stdout
    approved = operator.json("op", "approve", rolled.cluster)
    assert (approved["wave"], approved["waits_for"]) == (2, None)
    done = operator.run("op", "watch", rolled.cluster)
    assert "finished" in done.stderr
    refused = operator.run("op", "approve", rolled.cluster, status=1).stderr
    assert "no wave of it begins any more" in refused


@pytest.mark.parametrize(
    ("approval", "actor", "who"),
    [
        (True, "ada", "An operator of web may: commctl op approve 01a2"),
        ("second", "ada", "An operator of web may, but not ada, who began it: commctl op"),
        ("second", "token:ci", "but not the owner of the token ci: "),
        ("second", "runner:schedules", "but not who defined its schedule: "),
    ],
)
def test_who_may_approve_is_told(approval: object, actor: str, who: str) -> None:
    waits_for = {"what": "approval", "until": None, "reason": "Wave 1 is over."}
    record = {"id": "01a2", "cluster": "web", "actor": actor, "wave": 1, "waits_for": waits_for}
    told = waits(cast("Any", record | {"waves": [{"approval": approval}]}))
    assert told.startswith("Wave 1 is over. ")
    assert who in told


def test_a_watch_says_until_when_it_waits() -> None:
    wait = {"what": "window", "until": "2026-01-02T21:00:00.000000", "reason": "It is closed."}
    operation = {"status": "in_process", "cancelling": False, "reason": "", "waits_for": wait}
    progress = Progress(cast("Any", operation), [])
    told = "It is closed. (until 2026-01-02T21:00:00.000000Z)"
    assert progress.waits == told
    event = {"type": "operation.waits", "time": "2026-01-02T12:00:00Z", "data": wait}
    progress.waits = ""
    progress.apply(cast("Any", event))
    assert progress.waits == told


def test_a_watch_says_in_which_wave_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    operation = {
        "status": "in_process", "cancelling": False, "reason": "", "wave": 1, "waves": [{}, {}],
        "started_at": "2026-01-02T12:00:00.000000", "options": {"max_failures": 0},
    }  # fmt: skip
    host = {"address": "10.0.0.7", "outcome": "waiting", "step": None, "reason": ""}
    progress = Progress(
        cast("Any", operation), [cast("Any", host | {"started_at": None, "finished_at": None})]
    )
    event = {"type": "operation.wave_started", "time": "2026-01-02T12:00:00Z", "data": {"wave": 2}}
    progress.apply(cast("Any", event))
    Screen(Output("table", no_color=True), progress).draw()
    assert "0/1  wave 2 of 2" in capsys.readouterr().out


def test_waves_are_numbers_percentages_and_labels_with_one_rule() -> None:
    assert waves_of("1,10%, role=db", "10m", False, True) == [
        {"hosts": hosts, "soak_s": 600.0, "approval": "second"}
        for hosts in (1, "10%", {"label": "role=db"})
    ]
    assert waves_of("5", None, True, False) == [{"hosts": 5, "approval": True}]
    assert waves_of(None, None, False, False) == []
    for text, soak in ((None, "10m"), ("", None), ("1,,2", None), ("ten", None)):
        with pytest.raises(WrongUse):
            waves_of(text, soak, False, False)


def test_waves_of_a_schedule_are_told_in_words() -> None:
    assert wave_told({"hosts": {"label": "role=db"}}) == "role=db"
    assert wave_told({"hosts": 1, "approval": "second"}) == "1 (a second person approves)"
    assert wave_told({"hosts": "5%", "soak_s": 0.5, "approval": False}) == "5% (soaks 0.5 s)"


def test_a_time_to_begin_is_the_next_one() -> None:
    assert start_of("+2h", NOW, UTC) == "2026-01-02T14:00:00.000000"
    assert start_of("13:00", NOW, UTC) == "2026-01-02T13:00:00.000000"
    assert start_of("11:00", NOW, UTC) == "2026-01-03T11:00:00.000000"
    assert start_of("2026-02-01T02:00", NOW, UTC) == "2026-02-01T02:00:00.000000"
    berlin = ZoneInfo("Europe/Berlin")
    assert start_of("2026-02-01T02:00:00Z", NOW, berlin) == "2026-02-01T02:00:00.000000"


@pytest.mark.parametrize("text", ["2026-01-01T02:00", "2026-01-02T12:00", "yesterday", "-2h"])
def test_a_time_that_is_over_begins_nothing(text: str) -> None:
    with pytest.raises(WrongUse, match="is over"):
        start_of(text, NOW, UTC)


def test_of_what_is_no_time_to_begin_the_forms_of_one_are_told() -> None:
    with pytest.raises(WrongUse, match=r"such as \+2h, 23:00 or"):
        start_of("25:00", NOW, UTC)
