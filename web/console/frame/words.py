"""Times, sizes and states as people read them."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from markupsafe import Markup

from domain.event import TIME_FORMAT

KIBIBYTE = 1024
REFERENCE = re.compile(r"&(?=[A-Za-z0-9#])")
NUMBER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHORT = 8
"""So many digits of an id `commctl` takes and shows, too."""
UNITS = ("kB", "MiB", "GiB", "TiB", "PiB")
KILOBYTES, SOURCED = ("memory", "space"), "sourced_"
"""What has kilobytes, also as a host's source has it."""
SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
SHAPES = {
    # hosts
    "active": ("good", "●"),
    "disassociated": ("good", "●"),
    "failed": ("bad", "▲"),
    "investigating": ("busy", "◐"),
    "bootstrapping": ("busy", "◐"),
    "new": ("busy", "◐"),
    # clusters
    "ok": ("good", "●"),
    "degraded": ("warn", "◆"),
    # operations and their hosts
    "in_process": ("busy", "◐"),
    "paused": ("warn", "◆"),
    "finished": ("good", "●"),
    "done": ("good", "●"),
    "partial": ("warn", "◆"),
    "cancelled": ("dull", "○"),
    "skipped": ("dull", "○"),
    "waiting": ("dull", "○"),
    "unknown": ("warn", "◆"),
    # webhooks
    "failing": ("warn", "◆"),
    "given_up": ("bad", "▲"),
}
SENTENCES = {
    "in_process": "in process",
    "disassociated": "in no cluster",
    "host_key": "host key changed",
    "unknown_outcome": "outcome unknown",
    "stale_source": "source stale",
    "given_up_webhook": "webhook given up",
    "failing_webhook": "webhook failing",
    "given_up": "given up",
    "authentication": "log-in refused",
    "facts": "facts not understood",
    "setup": "set-up failed",
}


class State(NamedTuple):
    """A state: a word, a shape, and the class of its colour."""

    word: str
    shape: str
    colour: str


def state(name: str) -> State:
    """How a state is shown. What is not known is shown as it is."""
    colour, shape = SHAPES.get(name, ("dull", "○"))
    return State(word(name), shape, colour)


def word(name: str) -> str:
    """A name of the API in words."""
    return SENTENCES.get(name, name.replace("_", " "))


def short(subject: str) -> str:
    """A subject with the beginning of its name, where that is a number that nobody reads."""
    kind, _, name = subject.partition("/")
    return f"{kind}/{name[:SHORT]}…" if NUMBER.fullmatch(name) else subject


def size(kilobytes: int) -> str:
    """10485760 kB is 10 GiB."""
    amount, unit = float(kilobytes), 0
    while amount >= KIBIBYTE and unit < len(UNITS) - 1:
        amount, unit = amount / KIBIBYTE, unit + 1
    return f"{amount:.3g} {UNITS[unit]}" if amount < 1000 else f"{amount:.0f} {UNITS[unit]}"


def value(told: str | int | None, name: str) -> str:
    """What a record has under a name; a dash for nothing."""
    if name.removeprefix(SOURCED) in KILOBYTES and isinstance(told, int):
        return size(told)
    return "–" if told is None else str(told)


def ago(moment: str, now: str) -> str:
    """How long before `now` it was, in one unit; "" where nothing is said."""
    if not moment:
        return ""
    seconds = (_time(now) - _time(moment)).total_seconds()
    if abs(seconds) < 1:
        return "now"
    for span, unit in SPANS:
        if abs(seconds) >= span:
            count = int(abs(seconds) // span)
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    return "now"


def span(seconds: float) -> str:
    """A span of time in its units, without those of which there is none: 1 h 30 min."""
    told, left = [], seconds
    for each, unit in SPANS:
        count = left if each == 1 else left // each
        left -= count * each
        if count:
            told.append(f"{count:g} {unit}")
    return " ".join(told) or "0 s"


def exact(moment: str) -> str:
    """A time to the second, with its zone."""
    return f"{moment[:19].replace('T', ' ')} UTC" if moment else ""


def clock(moment: str, now: str) -> str:
    """The hour where it is of today, else the day too; of UTC."""
    if not moment:
        return ""
    return moment[11:19] if moment[:10] == now[:10] else f"{moment[:10]} {moment[11:16]}"


def _time(moment: str) -> datetime:
    text = moment.rstrip("Z")
    if len(text) == len("2015-12-17T15:48:18.710454"):
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def text_content(text: str) -> Markup:
    """A long text between tags, never in an attribute: only what would be markup there is escaped,
    which makes four bytes of one at most."""
    escaped = REFERENCE.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    return Markup(escaped)  # noqa: S704 - it was escaped
