"""What shows by itself that rows of the log are not as they were: holes, turns, and nonsense."""

from typing import Any

import orjson

from domain.aggregates.log_history import ClockSetBack, WentBack


class RowFaults:
    """Looks at the rows of an export in their order."""

    def __init__(self) -> None:
        self.gap = 0
        """The first position that is not there."""
        self._position = 0
        self._recorded_at = ""
        self._versions: dict[str, int] = {}

    def look(self, line: bytes) -> str:
        """A sentence on what is wrong with the next row; "" where nothing shows.

        A gap in positions is none: PostgreSQL leaves them. What was dropped leaves a hole in the
        versions of its subject, but where it was the last of them.
        """
        row = _row(line)
        if row is None:
            return f"What follows position {self._position} cannot be read."
        position, recorded_at, subject, version, topic = row
        known, before = self._versions.get(subject, 0), self._position
        at, self._recorded_at = self._recorded_at, recorded_at
        self._versions[subject], self._position = version, position
        if position > before + 1 and not self.gap and topic != WentBack.TOPIC:
            self.gap = before + 1
        if position <= before:
            return f"Position {position} follows position {before}."
        if version != known + 1:
            return f"Position {position}: version {version} of {subject} follows version {known}."
        if recorded_at < at and topic != ClockSetBack.TOPIC:
            return f"Position {position} was recorded at {recorded_at}, before the one before it."
        return ""


def _row(line: bytes) -> tuple[int, str, str, int, str] | None:
    try:
        row: Any = orjson.loads(line)
        position, recorded_at, subject, version, topic, said = row
    except (ValueError, TypeError):
        return None
    texts = (recorded_at, subject, topic)
    numbers = (position, version)
    is_one = all(isinstance(each, str) for each in texts) and isinstance(said, dict)
    if not is_one or not all(type(each) is int for each in numbers):
        return None
    return position, recorded_at, subject, version, topic
