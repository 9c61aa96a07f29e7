"""Watch an operation to its end, whatever becomes of the connection; how the command then ends."""

import sys
import time

from commctl.exits import OF_OPERATION, Left, NoLogin, TimedOut
from commctl.session import Session
from commctl.show.table import SHORT_ID
from commctl.show.text import cleaned, json_text
from commctl.show.times import exact, read, stopwatch
from commctl.streams import Listener, Silence, Told, follow
from commctl.watch.hands import Hands
from commctl.watch.keys import Keys, in_foreground
from commctl.watch.progress import Progress
from commctl.watch.screen import Screen

LOOK_S = 0.25
"""How often a screen is drawn anew, and keys are asked for."""
SILENCE_S = 60.0
"""In a pipe, silence is told of so often."""
AWAY_S = 2.0
"""A service that is away for shorter is not worth a word."""
FAILED_SHOWN = 20


def watch_to_the_end(use: Session, name: str, after: int | None, timeout_s: float | None) -> int:
    """Watch an operation, from an event on or from now; gives the exit status, by what became
    of it. Raises TimedOut or Left, and then it goes on."""
    try:
        watching = Watching(use, name, after, timeout_s)
    except KeyboardInterrupt:
        raise Left(*_goes_on(name)) from None
    return watching.to_the_end()


def _goes_on(name: str) -> tuple[str, ...]:
    short = name[:SHORT_ID]
    return (
        f"{short} goes on; watch it again: commctl op watch {short}",
        f"cancel it: commctl op cancel {short}",
    )


class Watching:
    """One operation that is watched."""

    def __init__(self, use: Session, name: str, after: int | None, timeout_s: float | None) -> None:
        answer = use.api.transport.request("GET", f"operation/{name}", {"hosts": "false"})
        hosts = use.api.operation_hosts(name)
        self._use = use
        self.name = str(answer.body["id"])
        self.progress = Progress(answer.body, hosts)
        self._is_news = after is None
        after = (answer.position or 0) if after is None else after
        subject = f"operation/{self.name}"
        self._listener = Listener(follow(use.api.transport, after, [subject]))
        self._until = None if timeout_s is None else time.monotonic() + timeout_s
        self._away = ""

    def to_the_end(self) -> int:
        """The exit status, by what became of it. Raises TimedOut or Left, and then it goes on."""
        try:
            if self._use.out.is_terminal and self._use.out.for_people and in_foreground():
                self._on_a_terminal()
            else:
                self._in_a_pipe()
        except KeyboardInterrupt:
            raise Left(*_goes_on(self.name)) from None
        except NoLogin as ended:
            raise NoLogin(*ended.sentences, *_goes_on(self.name)) from None
        self._tell_the_end()
        return OF_OPERATION[self.progress.status]

    def _next(self, wait_s: float) -> Told | None:
        if self._until is not None:
            left_s = self._until - time.monotonic()
            if left_s <= 0:
                raise TimedOut(*_goes_on(self.name))
            wait_s = min(wait_s, left_s)
        told = self._listener.next(wait_s)
        if isinstance(told, Silence):
            away_s = 0.0 if told.away_since is None else time.monotonic() - told.away_since
            self._away = (
                f"{self._use.server.url} does not answer for {away_s:.0f} s; asked again"
                if away_s > AWAY_S
                else ""
            )
        elif told is not None:
            self._away = ""
        return told

    def _in_a_pipe(self) -> None:
        quiet_since, form = time.monotonic(), self._use.out.form
        if self._is_news and not self.progress.is_over:
            self._use.out.say(self._counts())
        told_away = False
        while not self.progress.is_over:
            told = self._next(max(0.0, quiet_since + SILENCE_S - time.monotonic()))
            if self._away and not told_away:
                self._use.out.say(self._away)
            told_away = bool(self._away)
            if told is not None and not isinstance(told, Silence):
                line = self.progress.apply(told)
                quiet_since = time.monotonic()
                if form == "jsonl":
                    self._write(json_text(told))
                elif form in ("tsv", "table", "wide"):
                    cells = (exact(line.time), *line[1:])
                    self._write("\t".join(cleaned(cell) for cell in cells))
            elif time.monotonic() - quiet_since >= SILENCE_S:
                quiet_since = time.monotonic()
                self._use.out.say(self._counts())

    def _write(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _counts(self) -> str:
        counts = self.progress.counts
        told = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
        waits = f"; waits: {self.progress.waits}" if self.progress.waits else ""
        return f"{self.progress.status}: {told}{waits}"

    def _on_a_terminal(self) -> None:
        with Keys() as keys:
            screen = Screen(self._use.out, self.progress)
            hands = Hands(self._use.api, self.name, self.progress, screen)
            while not self.progress.is_over:
                hands.tell()
                screen.message = " ".join(filter(None, (self._away, hands.message)))
                screen.draw()
                told = self._next(LOOK_S)
                while told is not None:  # a backlog is drawn once
                    if not isinstance(told, Silence):
                        self.progress.apply(told)
                    told = self._listener.next(0)
                if not hands.do(keys.pressed()):
                    screen.erase()
                    raise Left(*hands.finish(), *_goes_on(self.name))
            screen.erase()
            for sentence in hands.finish(0):
                self._use.out.say(sentence)

    def _tell_the_end(self) -> None:
        use, progress = self._use, self.progress
        record = use.api.operation(self.name)
        if use.out.form == "json":
            use.out.record({}, record, self.name)
        length = ""
        if record["finished_at"]:
            took = read(record["finished_at"]) - read(record["started_at"])
            length = f" in {stopwatch(took.total_seconds())}"
        counts = {state: n for state, n in record["counts"].items() if n}
        told = ", ".join(f"{n} {state}" for state, n in counts.items())
        why = f": {record['reason']}" if record["status"] == "failed" else ""
        use.out.say(
            f"{record['kind']} of {record['cluster']} {record['status']}{length}: {told}{why}"
        )
        bad = [h for h in progress.hosts.values() if h.outcome in ("failed", "unknown", "skipped")]
        for host in bad[:FAILED_SHOWN]:
            use.out.say(f"  {host.address}  {host.outcome}: {host.reason}")
        if len(bad) > FAILED_SHOWN:
            use.out.say(
                f"  and {len(bad) - FAILED_SHOWN} more: commctl op show {self.name[:SHORT_ID]}"
            )
        short = self.name[:SHORT_ID]
        if tried := [host.address for host in bad if host.outcome != "skipped"]:
            use.out.say(f"What was said: commctl op output {short} {tried[0]}")
        if bad:
            use.out.say(f"Again what was left undone: commctl op retry {short}")
