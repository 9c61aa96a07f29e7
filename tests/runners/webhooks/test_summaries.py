"""A large roll sends a few messages, not one for each step of each host."""

from typing import Any

import pytest

from domain.aggregates.operation import Operation, OperationRequest
from domain.aggregates.rolling_policy import Options
from domain.log.unit import Unit
from runners.webhooks.message import NAMED_MAX
from tests.runners.stage import until
from tests.runners.webhooks.play import Play, told
from tests.support.stores import Store
from tests.support.webhook_receiver import WebhookReceiver

HOSTS = [f"10.0.{number // 250}.{number % 250}" for number in range(300)]
FAILED = HOSTS[7:10]
UNKNOWN = HOSTS[20]


def begin(unit: Unit) -> None:
    """A roll over all hosts but one, which is skipped."""
    wanted = OperationRequest("upgrade", "web", "", Options(max_parallel=1000))
    unit.operation("1").start(wanted, [(each, 0) for each in HOSTS], [("10.9.9.9", "It is off.")])


def run(unit: Unit) -> None:
    """All of them at once: each waits, and nearly all do well."""
    operation = unit.operation("1")
    for address in HOSTS:
        operation.start_host(address)
        operation.send_step(address, "upgrade")
        operation.wait(address, "upgrade", "Another package manager is at work.")
        operation.wait(address, "upgrade", "")
        _end(operation, address)


def _end(operation: Operation, address: str) -> None:
    if address in FAILED:
        operation.fail_host(address, "upgrade", f"It broke <{address}>.", {})
    elif address == UNKNOWN:
        operation.mark_unknown(address, "upgrade", "Silence.", {})
    else:
        operation.finish_step(address, "upgrade", {}, reboot=False)


async def play_all(play: Play, there: WebhookReceiver, **terms: Any) -> list[Any]:
    """What is sent of it."""
    async with play.opened():
        await play.put(there, types=["operation.*"], **terms)
        await play.do(begin)
        await play.do(lambda unit: unit.operation("1").pause())
        await play.do(lambda unit: unit.operation("1").resume())
        await play.do(run)
        await play.do(lambda unit: unit.operation("1").end("partial", "4 did not do well."))
        end = play.positions()[-1]
        await until(lambda: play.record()["position"] == end)
    return [one.event for one in there.taken]


async def test_it_is_begun_waits_fails_and_ends_with_counts_and_names(
    store: Store, there: WebhookReceiver
) -> None:
    events = await play_all(Play(store), there, summaries=True)
    assert [event["type"].partition(".")[2] for event in events] == [
        *("started", "paused", "resumed", "step_waits"),
        *("host_failed", "host_failed", "host_failed", "host_unknown", "ended"),
    ]
    assert [event["data"].get("address") for event in events[4:8]] == [*FAILED, UNKNOWN]
    assert events[-1]["data"] == {
        "status": "partial",
        "reason": "4 did not do well.",
        "counts": {"done": 296, "failed": 3, "skipped": 1, "unknown": 1},
        "failed_hosts": [*FAILED, UNKNOWN],
    }


async def test_in_text_the_last_line_says_it_all(play: Play, there: WebhookReceiver) -> None:
    lines = [said["text"] for said in await play_all(play, there, summaries=True, form="text")]
    assert len(lines) == 9
    assert lines[-1] == (
        "operation/1: ended: partial (296 done, 3 failed, 1 skipped, 1 unknown; not well:"
        f" {', '.join([*FAILED, UNKNOWN])}). 4 did not do well. – alice"
    )
    assert f"It broke ‹{FAILED[0]}›." in lines[4]


@pytest.mark.parametrize("count", [NAMED_MAX, NAMED_MAX + 5])
def test_only_some_hosts_are_named_in_a_line(count: int) -> None:
    from runners.webhooks.message import _counted

    line = _counted({"counts": {"failed": count}, "failed_hosts": HOSTS[:count]})
    assert line.endswith(" and 5 more" if count > NAMED_MAX else HOSTS[count - 1])


async def test_without_summaries_each_event_is_sent(play: Play, there: WebhookReceiver) -> None:
    async with play.opened():
        await play.put(there, types=["operation.host_started", "operation.ended"])
        await play.do(begin)
        await play.do(lambda unit: unit.operation("1").start_host(HOSTS[0]))
        await play.do(lambda unit: unit.operation("1").start_host(HOSTS[1]))
        await until(lambda: len(there.taken) == 2)
    assert told(there) == ["operation.host_started operation/1"] * 2
