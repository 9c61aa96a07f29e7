"""Where a command says something: records on standard output, words for people on the other."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from commctl.exits import WrongUse
from commctl.show.pages import show_in_pages
from commctl.show.table import BAD, Column, Layout, plain
from commctl.show.text import cleaned, folded, json_text, padded, width
from commctl.show.times import exact, full

FORMATS = ("table", "wide", "json", "jsonl", "tsv", "name")


class Output:
    """Standard output and standard error, in the form that was asked for."""

    def __init__(
        self,
        form: str | None,
        *,
        quiet: bool = False,
        no_color: bool = False,
        utc: bool = False,
        header: bool = False,
    ) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.form = form or ("table" if self.is_terminal else "tsv")
        self.quiet = quiet
        self.colour = self.is_terminal and not (
            no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        )
        self.shapes = "utf" in (sys.stdout.encoding or "").lower()
        self.zone = UTC if utc else None
        """That times are told in; None is that of the system."""
        self._header = header

    @property
    def now(self) -> datetime:
        """In the zone that times are told in."""
        return datetime.now(UTC).astimezone(self.zone)

    @property
    def columns(self) -> int:
        """Of the terminal; COLUMNS says otherwise."""
        return shutil.get_terminal_size().columns

    @property
    def for_people(self) -> bool:
        """Whether what is shown is laid out."""
        return self.form in ("table", "wide")

    def rows(
        self,
        columns: Sequence[Column],
        records: Iterable[Any],
        noun: str = "",
        *,
        live: bool = False,
    ) -> int:
        """A list, record by record as they come, `live` at once; gives how many there were.

        On a terminal standard error says how many of `noun`, and how many are in a bad state.
        """
        counted = Counted(columns, records)
        if self.form == "json":
            self._json(counted)
        elif self.form in ("table", "wide"):
            fits = self.columns if self.form == "table" else None
            layout = Layout(columns, self.now, fits, colour=self.colour, shapes=self.shapes)
            lines = layout.lines(counted, header=self.is_terminal or self._header, live=live)
            if self.is_terminal and not self.quiet and not live:
                show_in_pages(lines, shutil.get_terminal_size().lines)
            else:
                self._write(lines, live=live)
        elif self.form == "jsonl":
            self._write((json_text(record) for record in counted), live=live)
        elif self.form == "name":
            self._write((plain(columns[0], record) for record in counted), live=live)
        elif self.form == "tsv":
            if self._header:
                self._write(["\t".join(column.name for column in columns)])
            lines = ("\t".join(plain(c, record) for c in columns) for record in counted)
            self._write(lines, live=live)
        else:
            raise WrongUse(f"-o {self.form} is not for this: one of {', '.join(FORMATS)}.")
        if noun and self.is_terminal:
            self.say(counted.summary(noun))
        return counted.number

    def _write(self, lines: Iterable[str], *, live: bool = False) -> None:
        for line in lines:
            sys.stdout.write(f"{line}\n")
            if live:
                sys.stdout.flush()

    def _json(self, records: Iterable[Any]) -> None:
        separator = "["
        for record in records:
            sys.stdout.write(f"{separator}\n{json_text(record)}")
            separator = ","
        sys.stdout.write("\n]\n" if separator == "," else "[]\n")

    def record(self, shown: Mapping[str, Any], whole: Any, name: str) -> None:
        """One thing: `shown` for people, `whole` for programs, `name` for the shell."""
        match self.form:
            case "json":
                self._write([json_text(whole, indent=2)])
            case "jsonl":
                self._write([json_text(whole)])
            case "name":
                self._write([cleaned(name)])
            case "tsv":
                self._write(f"{key}\t{self._value(key, v)}" for key, v in shown.items())
            case "table" | "wide":
                self._write(self._pairs(shown))
            case _:
                raise WrongUse(f"-o {self.form} is not for this: one of {', '.join(FORMATS)}.")

    def _pairs(self, shown: Mapping[str, Any]) -> Iterator[str]:
        told = {key: self._value(key, value) for key, value in shown.items()}
        told = {key: text for key, text in told.items() if text}
        wide = max(map(width, told), default=0)
        for key, text in told.items():
            first, *more = folded(text, max(self.columns - wide - 2, 24))
            yield f"{self.painted(padded(cleaned(key), wide), '2')}  {first}"
            for line in more:
                yield f"{' ' * wide}  {line}"

    def _value(self, key: str, value: Any) -> str:
        if key in TIMES and value:
            known = full(str(value), self.zone) if self.for_people else exact(str(value))
            return cleaned(known)
        return plain(Column(key, lambda _: value), None)

    def painted(self, text: str, sgr: str) -> str:
        """In a colour, where there are colours."""
        return f"\x1b[{sgr}m{text}\x1b[0m" if self.colour else text

    def line(self, text: str, *, lines: bool = False) -> None:
        """A line of text on standard output."""
        self._write([cleaned(text, lines=lines)])

    def paragraph(self, text: str, indent: int = 0) -> None:
        """A text in lines that fit, those after the first further to the right."""
        first, *more = folded(cleaned(text), max(self.columns - indent - 2, 24))
        self._write([" " * indent + first, *(" " * (indent + 2) + line for line in more)])

    def say(self, text: str) -> None:
        """A line for people, on standard error."""
        if not self.quiet:
            sys.stdout.flush()
            shown = cleaned(text)
            if sys.stderr.isatty() and width(shown) > self.columns:
                indent = len(shown) - len(shown.lstrip())
                first, *more = folded(shown.strip(), max(self.columns - indent - 4, 24))
                shown = "\n".join([" " * indent + first, *(" " * (indent + 4) + m for m in more)])
            print(shown, file=sys.stderr, flush=True)

    def ask(self, question: str, *, yes: bool) -> bool:
        """Whether a person agrees. In a pipe nobody is asked: `-y` has to be there."""
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise WrongUse(f"{question} Nobody is here to ask: say -y.")
        print(f"{cleaned(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")


TIMES = (
    *("since", "booted", "last check", "next check", "started", "ended", "created", "expires"),
    *("until", "next", "defined_at", "last due", "failing_since"),
)


class Counted:
    """Records that are counted as they pass."""

    def __init__(self, columns: Sequence[Column], records: Iterable[Any]) -> None:
        self._status = next((column for column in columns if column.kind == "status"), None)
        self._records = records
        self.number = 0
        self._bad: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Any]:
        for record in self._records:
            self.number += 1
            if self._status and (status := str(self._status.value(record))) in BAD:
                self._bad[status] += 1
            yield record

    def summary(self, noun: str) -> str:
        """`8 hosts, 3 failed`."""
        many = "" if self.number == 1 else "s"
        counts = [f"{self.number} {noun}{many}" if self.number else f"no {noun}s"]
        return ", ".join([*counts, *(f"{n} {status}" for status, n in self._bad.items())])
