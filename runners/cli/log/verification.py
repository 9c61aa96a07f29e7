"""Does an export have what checkpoints say? `commissaire log verify`: no database, no network.

The rows are hashed as they are read, so a log of any length takes the same memory. Where they do
not fit, the piece between the last checkpoint that does and the first that does not is read again,
for the first row that shows it by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import orjson

from domain.log.tree import checkpoint
from domain.log.tree.checkpoint import Read
from domain.log.tree.hashing import Frontier
from domain.log.tree.note import PublicKey, WrongNote
from runners.cli.log.row_faults import RowFaults
from runners.proof import chain
from runners.proof.chain import Claim

CHUNK_BYTES = 1024 * 1024
LINE_BYTES_MAX = 64 * 1024 * 1024
"""A row is far shorter: the state of an event has at most some megabytes."""
ROW_BEGINS = b"["
KEPT_LEAVES = 4096
"""What the log says of itself is of a moment before; more than a transaction of it has events."""
MARKS = tuple(f'"{topic}"'.encode() for topic in chain.TOPICS)


class Wrong(Exception):
    """The export is not what a checkpoint says; the sentence says where."""


class Verified(NamedTuple):
    """What was found to be as it was."""

    events: int
    position: int
    checkpoints: int
    """So many checkpoints fit, of files and of the log itself."""
    covered: int
    """Up to so many events: what follows no checkpoint says anything of."""


class Lines:
    """The rows of some files, one after the other; each is without its line feed."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def chunks(self) -> Iterator[tuple[list[bytes], bool]]:
        """Some at a time, and whether the log may say something of its tree in them.

        Raises `Wrong` where a file begins with no row, or its last line has no end.
        """
        for path in self._files:
            with path.open("rb") as file:
                yield from _chunks(file, path)

    def first(self, count: int) -> Iterator[bytes]:
        """So many of them, one by one."""
        lines = (line for each, _ in self.chunks() for line in each)
        return islice(lines, count)


def _chunks(file: BufferedReader, path: Path) -> Iterator[tuple[list[bytes], bool]]:
    rest = b""
    if file.peek(1)[:1] not in (b"", ROW_BEGINS):
        raise Wrong(
            f"{path} does not begin with a row, as commissaire log export --rows writes it."
        )
    while read := file.read(CHUNK_BYTES):
        content = rest + read
        lines = content.split(b"\n")
        rest = lines.pop()
        if len(rest) > LINE_BYTES_MAX:
            raise Wrong(f"A line of {path} is longer than {LINE_BYTES_MAX} bytes: it is no row.")
        yield lines, any(mark in content for mark in MARKS)
    if rest:
        raise Wrong(f"The last line of {path} is cut off.")


class Verification:
    """Of one export. `trust`: the keys that somebody got from elsewhere."""

    def __init__(
        self, lines: Lines, files: Sequence[tuple[str, Read]], trust: set[PublicKey]
    ) -> None:
        self._lines = lines
        self._files = files
        self._trust = trust
        self._claims: list[Claim] = []
        self._roots: dict[int, bytes] = {}
        """The root of the export at each size that somebody says something of."""
        self._older = self._base = self._frontier = Frontier()
        """The tree a while ago, a little ago, and now."""
        self._since_older: list[bytes] = []
        self._since_base: list[bytes] = []
        self._last = b""

    def run(self, advance: Callable[[int], None] = lambda events: None) -> Verified:
        """Read it all. Raises `Wrong`, and `WrongNote` for a checkpoint that nobody signed."""
        sizes = sorted({found.checkpoint.size for _, found in self._files})
        for lines, may_say in self._lines.chunks():
            self._read(lines, sizes)
            for line in lines if may_say else ():
                if any(mark in line for mark in MARKS):
                    self._take(line)
            advance(self._frontier.size)
        if sizes[:1] == [0]:
            self._roots[0] = Frontier().root
        keys = chain.trusted(self._trust, self._claims)
        kept = [chain.claim_of_file(found, keys, where) for where, found in self._files]
        for claim in self._claims:
            if not keys.issuperset(claim.keys):
                raise Wrong(f"{claim.where} is signed by a key that is not trusted.")
        claims = sorted([*kept, *self._claims], key=lambda claim: claim.size)
        self._hold(claims)
        position = _position(self._last) if self._last else 0
        covered = max((claim.size for claim in claims), default=0)
        return Verified(self._frontier.size, position, len(claims), covered)

    def _read(self, lines: list[bytes], sizes: list[int]) -> None:
        hashes = [sha256(b"\0" + line).digest() for line in lines]
        begin, first = self._frontier.size, 0
        for size in sizes:
            if begin < size <= begin + len(lines):
                self._extend(hashes[first : size - begin])
                self._roots[size] = self._frontier.root
                first = size - begin
        self._extend(hashes[first:])
        self._last = lines[-1] if lines else self._last

    def _extend(self, hashes: list[bytes]) -> None:
        self._frontier, _ = self._frontier.extended(hashes)
        self._since_base += hashes
        if len(self._since_base) >= KEPT_LEAVES:
            self._older, self._since_older = self._base, self._since_base
            self._base, self._since_base = self._frontier, []

    def _take(self, line: bytes) -> None:
        """What the log says of itself."""
        try:
            position, _, _, _, topic, said = orjson.loads(line)
            if topic not in chain.TOPICS:
                return  # a state that names it
            claim = chain.claim_of_event(topic, said, f"The checkpoint at position {position}")
        except (ValueError, AttributeError) as error:
            why = str(error) if isinstance(error, WrongNote) else "it cannot be read"
            raise Wrong(f"The checkpoint at position {_position(line)} is wrong: {why}.") from None
        root = self._root_of(claim.size)
        if root is None:
            raise Wrong(f"{claim.where} is of {claim.size} events, which is not where it stands.")
        self._roots[claim.size] = root
        self._claims.append(claim)

    def _root_of(self, size: int) -> bytes | None:
        for base, since in (
            (self._base, self._since_base),
            (self._older, self._since_older),
        ):
            if base.size <= size <= base.size + len(since):
                return base.extended(since[: size - base.size])[0].root
        return None

    def _hold(self, claims: list[Claim]) -> None:
        fits = 0
        for claim in claims:
            if claim.size > self._frontier.size:
                raise Wrong(self._why_short(claim, fits))
            if self._roots[claim.size] != claim.root:
                raise Wrong(self._why(claim, fits))
            fits = claim.size

    def _why_short(self, claim: Claim, fits: int) -> str:
        """The end is missing, unless something before it is."""
        faults, fault, last = RowFaults(), "", 0
        for number, line in enumerate(self._lines.first(self._frontier.size), 1):
            fault, last = faults.look(line), _position(line)
            if number <= fits:
                faults.gap = 0
            elif fault:
                break
        why = f"{claim.where} is of {claim.size} events, and the export has {self._frontier.size}"
        if fault:
            return f"{fault} {why}."
        if not faults.gap:
            return f"{why}: what follows position {last} is missing."
        return (
            f"{why}: position {faults.gap} is the first that is not there, {last} the last that is."
        )

    def _why(self, claim: Claim, fits: int) -> str:
        """Look for what shows by itself, between two sizes."""
        faults, first, last = RowFaults(), 0, 0
        for number, line in enumerate(self._lines.first(claim.size), 1):
            fault, last = faults.look(line), _position(line)
            if number <= fits:
                faults.gap = 0
            elif fault:
                return f"{fault} {claim.where}, of {claim.size} events, does not fit."
            first = last if number == fits + 1 else first
        why = f"{claim.where}, of {claim.size} events, does not fit"
        why += f", and the one of {fits} does." if fits else "."
        if faults.gap:
            # PostgreSQL leaves gaps: it need not be that one.
            why += f" Position {faults.gap} is the first that is not there."
        return f"Something from position {first} to {last} was altered, dropped or put in: {why}"


def _position(line: bytes) -> int:
    """Of a row; 0 where it has none."""
    number = line[1 : line.find(b",")]
    return int(number) if number.isdigit() and len(number) < 20 else 0


def checkpoints_of(paths: Sequence[Path]) -> list[tuple[str, Read]]:
    """Those in some files. Raises `Wrong` for what is none."""
    found = []
    for path in paths:
        try:
            found.append((f"The checkpoint {path}", checkpoint.read(path.read_text())))
        except (WrongNote, UnicodeDecodeError) as wrong:
            raise Wrong(f"{path} is no checkpoint: {wrong}.") from None
    return found
