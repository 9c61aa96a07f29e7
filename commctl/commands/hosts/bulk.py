"""The same with many: so many at once, a line for each, on after a refusal."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from shutil import get_terminal_size
from typing import Any, NamedTuple

from commctl.exits import DONE, REFUSED, Ended, NoLogin, NoServer
from commctl.session import Session
from commctl.show.hosts import DONE_COLUMNS
from commctl.show.refusals import as_typed

REFUSED_SHOWN = 20
AT_ONCE = 16
"""So many things are done at once."""


class Done(NamedTuple):
    """What became of one thing of a bulk: `outcome` is `refused` where `reason` says why."""

    name: str
    outcome: str
    reason: str = ""


def each(
    names: Sequence[str], work: Callable[[str], str], *, at_once: int = AT_ONCE
) -> Iterator[Done]:
    """Do something with each, many at once, and tell in order; a refusal does not stop the others.

    `work` gives the outcome in a word. Raises NoServer or NoLogin.
    """
    from concurrent.futures import ThreadPoolExecutor

    def done(name: str) -> Done:
        try:
            return Done(name, work(name))
        except (NoServer, NoLogin):
            raise
        except Ended as ended:
            return Done(name, "refused", " ".join(map(as_typed, ended.sentences)))

    with ThreadPoolExecutor(at_once) as pool:
        try:
            yield from pool.map(done, names)
        finally:
            pool.shutdown(cancel_futures=True)


def tell(use: Session, done: Iterable[Done], noun: str = "host") -> int:
    """A line for each; the exit status is 1 where any was refused."""
    _ = use.api  # what is wrong with the log-in, say, is told once, and not of each
    refused: list[Done] = []

    def told() -> Iterator[dict[str, Any]]:
        for one in done:
            if one.outcome == "refused":
                refused.append(one)
            yield one._asdict()

    number = use.out.rows(DONE_COLUMNS, told(), noun)
    if use.out.is_terminal and number >= get_terminal_size().lines:  # they have gone by
        for one in refused[:REFUSED_SHOWN]:
            use.out.say(f"  {one.name}  refused: {one.reason}")
        if len(refused) > REFUSED_SHOWN:
            use.out.say(f"  and {len(refused) - REFUSED_SHOWN} more")
    return REFUSED if refused else DONE
