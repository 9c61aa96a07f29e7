"""`docs/operations.md` knows all options, statuses, outcomes and systems, and the right numbers."""

import re
from pathlib import Path
from typing import get_args

import pytest

from domain.aggregates.rolling_policy import (
    AVAILABLE_AGAIN_S,
    STEP_TIMEOUT_S,
    Options,
    Outcome,
)
from domain.rollouts.moves import Status
from runners.operations import host_step
from runners.settings.settings import Settings
from runners.steps import detached_step
from runners.steps.system_commands import FIRST, SCRIPT, YUM_UNTIL

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def rows(section: str) -> dict[str, list[str]]:
    """Of the tables of a section: by their first cell, the others."""
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, section
    lines = re.findall(r"^ *\| *(.*?) *\| *$", found[1], re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells if rest and first != "---"}


def test_every_option_has_its_default() -> None:
    options = rows("Begin one")
    defaults = Options()
    for name in Options.__dataclass_fields__:
        default = getattr(defaults, name)
        shown = options[name][0].strip("`").strip('"')
        if name == "step_timeout_s":
            other = STEP_TIMEOUT_S["restart"]
            assert shown == f"{STEP_TIMEOUT_S['upgrade']:g}; restart: {other:g}"
        elif name == "drain":  # the default is what the cluster has
            assert shown.startswith("where the cluster has")
        elif default is False:
            assert shown == "false"
        elif default in (None, "", []):
            assert shown == "none"
        else:
            assert shown == (default if isinstance(default, str) else f"{default:g}")


@pytest.mark.parametrize("word", [*get_args(Status), *get_args(Outcome)])
def test_every_status_and_outcome_is_explained(word: str) -> None:
    assert word in rows("Watch it")


def test_every_system_is_in_the_table_with_its_command() -> None:
    table = rows("What happens on a host")
    for system, tool in FIRST.items():
        (row,) = [cells for names, cells in table.items() if re.search(rf"\b{system}\b", names)]
        assert f"`{tool} " in row[0], system
    named = {command for cells in table.values() for command in re.findall(r"`(.+?)`", cells[0])}
    for command in re.findall(r'run "(.*?upgrade|yum .*?|apt-get .*?|dpkg .*?)"', SCRIPT):
        assert command in named
    assert (YUM_UNTIL["rhel"], YUM_UNTIL["centos"]) == (7, 7)
    assert "up to version 7" in PAGE


def test_the_numbers_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert AVAILABLE_AGAIN_S == 600
    assert "waits ten minutes for members" in text
    assert f"stays for {detached_step.GUARD_DAYS} days" in text
    assert detached_step.OUTPUT_BYTES_MAX == 1024**2
    assert "first 1 MiB is kept" in text
    assert detached_step.OUTPUT_DAYS == 7
    assert "goes a week later" in text
    days = Settings.model_fields["output_kept_days"].default
    assert f"for `--output-kept-days` ({days})" in text
    assert host_step.CONTACT_LIMIT_S == 60
    assert "after a minute it has `failed`" in text
    assert host_step.CANCEL_LIMIT_S == 60
    assert "cannot be asked for a minute" in text
    assert host_step.REFUSED_LIMIT_S == 300
    assert "five minutes" in text
    assert host_step.HEALTH_LOOK_S == 2
    assert "less than about two seconds" in text
