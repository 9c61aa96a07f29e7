"""A schedule over kill -9 and a take-over: every minute fires once, on each engine."""

from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.processes.several import several
from tests.support.service import Service, wait_for

MINUTES = 3
LIMIT_S = 300.0


def told(service: Service, topic: str) -> list[dict[str, Any]]:
    """What the log says of it."""
    answer = service.client.get(
        f"{service.url}/api/v0/events", params={"type": topic, "limit": 1000}
    )
    return [event["data"] for event in answer.raise_for_status().json()]


def has_fired(service: Service, count: int) -> bool:
    """Whether so many firings began something."""
    return len(told(service, "schedule.fired")) >= count


@pytest.mark.proof
def test_each_minute_fires_once_over_kill_9_and_take_over(
    tmp_path: Path, engine: str, database_url: str
) -> None:
    with ExitStack() as stack:
        if engine == "postgresql":
            services = stack.enter_context(several(2, tmp_path, [database_url] * 2))
        else:
            services = [stack.enter_context(Service(tmp_path / "service", database_url))]
        dying, living = services[0], services[-1]
        api = f"{living.url}/api/v0"
        assert living.client.put(f"{api}/cluster/web").status_code == 201
        plan = {"cron": "* * * * *", "zone": "UTC"}
        for name in ("one", "two", "three", "four"):
            cluster = f"cluster-{name}"
            assert living.client.put(f"{api}/cluster/{cluster}").status_code == 201
            operation = {"kind": "restart", "cluster": cluster}
            body = plan | {"operation": operation}
            assert living.client.put(f"{api}/schedule/{name}", json=body).status_code == 201
        for minute in range(1, MINUTES + 1):
            wait_for(partial(has_fired, living, 4 * minute), timeout_s=LIMIT_S)
            dying.kill()
            dying.start()
        fired = told(living, "schedule.fired")
        counts = Counter((event["due"], event["operation"]) for event in fired)
        assert set(counts.values()) == {1}
        dues = Counter(event["due"] for event in fired)
        assert max(dues.values()) <= 4, "each schedule once"
        begun = told(living, "operation.started")
        assert len(begun) >= len(fired) >= 4 * MINUTES
        # One that fired after `fired` was read may have begun.
        assert len(begun) <= len(told(living, "schedule.fired"))
