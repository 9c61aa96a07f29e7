"""Our recorder keeps the promises of the package's own, and ours on top."""

from uuid import uuid4

import pytest
from eventsourcing.persistence import NotSupportedError

from domain.log.engine import StoredEvent
from domain.log.recorder import LogRecorder
from tests.support.stores import Store


@pytest.fixture
def log(store: Store) -> LogRecorder:
    """A log with a1 b1 a2 a3 b2 at positions 1 to 5."""
    log = LogRecorder(store.engine)
    log.insert_events([event("a", 1), event("b", 1)])
    log.insert_events([event("a", 2), event("a", 3), event("b", 2)])
    return log


def event(name: str, version: int) -> StoredEvent:
    """An entry whose state is any bytes."""
    return StoredEvent(f"host/{name}", version, "host.removed", bytes([0, 255, version]))


def test_inserting_gives_positions_in_order_and_nothing_gives_none(store: Store) -> None:
    log = LogRecorder(store.engine)
    assert log.max_notification_id() is None
    assert log.insert_events([event("a", 1), event("a", 2)]) == [1, 2]
    assert log.insert_events([]) == []
    assert log.insert_events([event("a", 3)]) == [3]
    assert log.max_notification_id() == 3


def test_entries_are_kept_to_the_byte(log: LogRecorder) -> None:
    assert log.select_events("host/a") == [event("a", n) for n in (1, 2, 3)]
    assert log.select_events("host/unknown") == []
    assert log.select_events(uuid4()) == []


@pytest.mark.parametrize(
    ("asked", "versions"),
    [
        ({}, [1, 2, 3]),
        ({"gt": 0}, [1, 2, 3]),
        ({"gt": 1}, [2, 3]),
        ({"gt": 3}, []),
        ({"lte": 2}, [1, 2]),
        ({"lte": 0}, []),
        ({"gt": 1, "lte": 2}, [2]),
        ({"desc": True}, [3, 2, 1]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"desc": True, "limit": 1}, [3]),
        ({"desc": True, "gt": 1, "lte": 3, "limit": 5}, [3, 2]),
    ],
)
def test_a_stream_is_selected_as_the_package_does(
    log: LogRecorder, asked: dict[str, int], versions: list[int]
) -> None:
    found = log.select_events("host/a", **asked)  # type: ignore[arg-type] # desc is a bool
    assert [stored.originator_version for stored in found] == versions


@pytest.mark.parametrize(
    ("start", "stop", "limit", "inclusive", "positions"),
    [
        (None, None, 10, True, [1, 2, 3, 4, 5]),
        (None, None, 10, False, [1, 2, 3, 4, 5]),
        (0, None, 10, True, [1, 2, 3, 4, 5]),
        (0, None, 10, False, [1, 2, 3, 4, 5]),
        (1, None, 10, True, [1, 2, 3, 4, 5]),
        (1, None, 10, False, [2, 3, 4, 5]),
        (3, 4, 10, True, [3, 4]),
        (3, 4, 10, False, [4]),
        (3, 3, 10, True, [3]),
        (4, 3, 10, True, []),
        (None, 2, 10, True, [1, 2]),
        (2, None, 2, True, [2, 3]),
        (6, None, 10, True, []),
    ],
)
def test_the_log_is_selected_as_the_package_does(
    log: LogRecorder,
    start: int | None,
    stop: int | None,
    limit: int,
    inclusive: bool,
    positions: list[int],
) -> None:
    found = log.select_notifications(start, limit, stop, inclusive_of_start=inclusive)
    assert [notification.id for notification in found] == positions
    assert all(notification.topic == "host.removed" for notification in found)


def test_what_is_not_supported_says_so(log: LogRecorder) -> None:
    with pytest.raises(NotSupportedError):
        log.select_notifications(1, 10, topics=["host.removed"])


def test_creating_the_tables_again_changes_nothing(log: LogRecorder) -> None:
    log.create_table()
    assert log.max_notification_id() == 5
