"""When a cron expression fires by the clocks of a zone.

The expression has the five fields of cron (minute, hour, day, month, day of the week), and is read
as Debian's cron reads it. Where a field of time of day (minute or hour) begins with `*`, it fires
whenever a clock on the wall says so: in the hour that comes twice both times, in the hour that is
not there never. Else it means a time of day, which comes once each day: in the hour that comes
twice the first time, and in place of one that is not there right after the gap.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from domain.names import quoted
from domain.refusal import invalid

CRON_CHARACTERS_MAX = 100
CRON = re.compile(r"[0-9A-Za-z*/,#-]+(?: +[0-9A-Za-z*/,#-]+){4}", re.ASCII)
LOOK_BACK = timedelta(hours=3)
"""How far before a time its clocks may have been changed, for it to matter."""
ANY_DAY = "2000-01-01T00:00:00.000000"
ZONES_KEPT = 128


@lru_cache(1)
def zones() -> frozenset[str]:
    """The names of all zones: of the package, whatever else the machine has among its files."""
    names = (resources.files("tzdata") / "zones").read_text().split()
    return frozenset(names) - {"Factory"}


def checked_zone(text: str, key: str = "zone") -> str:
    """The name of a zone, unchanged, or a refusal."""
    if text not in zones():
        raise invalid(f"{quoted(text)} is no {key}: use a name such as Europe/Berlin, or UTC.", key)
    return text


def checked_cron(text: str, key: str) -> str:
    """A cron expression with one space between its fields, or a refusal."""
    wrong = f"{key} must be a cron expression of five fields such as '0 22 * * 1-5'"
    if len(text) > CRON_CHARACTERS_MAX or not CRON.fullmatch(text):
        raise invalid(f"{wrong}.", key)
    cron = " ".join(text.split())
    try:
        CronSim(cron, datetime.fromisoformat(ANY_DAY).replace(tzinfo=UTC))
    except CronSimError as error:
        raise invalid(f"{wrong}: {error}.", key) from None
    if next(firings(cron, "UTC", ANY_DAY), None) is None:
        raise invalid(f"{key} never fires: there is no such day.", key)
    return cron


@lru_cache(ZONES_KEPT)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def firings(cron: str, zone: str, after: str) -> Iterator[str]:
    """The times after one at which it fires, in `TIME_FORMAT`, each once and in order.

    They end where the calendar does, and where nothing fires for fifty years.
    """
    last = datetime.fromisoformat(after).replace(tzinfo=UTC)
    try:
        # What is due in a gap fires after it, and may be found twice: from before the gap on.
        for local in CronSim(cron, (last - LOOK_BACK).astimezone(_zone(zone))):
            moment = local.astimezone(UTC)
            if moment > last:
                last = moment
                yield moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    except (OverflowError, ValueError):
        return


def local_date(at: str, zone: str) -> str:
    """The date that a calendar in the zone shows, as `2026-12-24`."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return moment.astimezone(_zone(zone)).date().isoformat()


def end_of_date(at: str, zone: str) -> str:
    """The last moment of the date that a calendar in the zone shows, but not before `at`."""
    day = datetime.fromisoformat(local_date(at, zone)) + timedelta(days=1)
    last = day.replace(tzinfo=_zone(zone)).astimezone(UTC) - timedelta(microseconds=1)
    return max(at, last.replace(tzinfo=None).isoformat(timespec="microseconds"))
