"""A host as a list from elsewhere has it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from commctl.exits import WrongUse

RANGE_MAX = 10_000


@dataclass(frozen=True)
class Entry:
    """One row. `broken` says why it cannot be used."""

    address: str
    user: str | None = None
    port: int | None = None
    cluster: str | None = None
    key: Path | None = None
    labels: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    broken: str = ""

    def completed(
        self, user: str | None, port: int | None, cluster: str | None, labels: Mapping[str, str]
    ) -> "Entry":
        """With what is said of all rows: its own user, port and labels, and their cluster, win."""
        return replace(
            self,
            user=self.user or user,
            port=self.port or port,
            cluster=cluster or self.cluster,
            labels={**labels, **self.labels},
        )


def broken(address: str, why: str) -> Entry:
    """A row that cannot be used."""
    return Entry(address, broken=why)


def port_of(text: object) -> int:
    """A port. Raises ValueError with a sentence."""
    try:
        port = int(str(text))
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise ValueError(f"{str(text)!r} is no port.")
    return port


def labels_of(text: str) -> dict[str, str]:
    """`role=db rack=7`, with blanks, commas or semicolons between. Raises ValueError."""
    labels: dict[str, str] = {}
    for word in text.replace(",", " ").replace(";", " ").split():
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise ValueError(f"{word!r} is no label: KEY=VALUE.")
        labels[key] = value
    return labels


def expanded(pattern: str) -> Iterator[str]:
    """`web[01:20].example` and `db-[a:c]`, as Ansible has them: each name. Raises WrongUse."""
    before, opened, rest = pattern.partition("[")
    inside, closed, after = rest.partition("]")
    if not opened or not closed or ":" not in inside:
        yield pattern
        return
    first, _, more = inside.partition(":")
    last, _, step = more.partition(":")
    for middle in _between(first, last, step or "1", pattern):
        yield from expanded(f"{before}{middle}{after}")


def _between(first: str, last: str, step: str, pattern: str) -> Iterator[str]:
    if first.isdecimal() and last.isdecimal() and step.isdecimal() and int(step):
        numbers = range(int(first), int(last) + 1, int(step))
        if len(numbers) <= RANGE_MAX:
            digits = len(first) if first.startswith("0") else 0
            yield from (f"{number:0{digits}}" for number in numbers)
            return
    elif len(first) == len(last) == 1 and first.isalpha() and last.isalpha():
        yield from (chr(code) for code in range(ord(first), ord(last) + 1))
        return
    raise WrongUse(f"{pattern}: this range cannot be understood.")
