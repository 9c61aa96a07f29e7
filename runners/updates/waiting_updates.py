"""How many updates wait on a host: what it is asked, and what it answers."""

import re
from importlib.resources import files

from domain.aggregates.host_events import FactsGathered, UpdatesFound
from runners.steps.system_commands import WORDS, Commands, package_command

SCRIPT = WORDS + files("runners.updates").joinpath("updates.sh").read_text(encoding="utf-8")
FOUND = re.compile(rb"^commissaire-updates: ([0-9]{1,6}) ([0-9]{1,6}|-)$", re.MULTILINE)


def asking(facts: FactsGathered) -> Commands:
    """The command that asks a host of this system. Raises `StepImpossible`."""
    return (("/bin/sh", "-c", SCRIPT, "updates", "updates", package_command(facts)),)


def found(output: bytes) -> UpdatesFound | None:
    """What the host told; None where it told nothing."""
    told = FOUND.findall(output)
    if not told:
        return None
    every, security = told[-1]
    return UpdatesFound(int(every), None if security == b"-" else int(security))
