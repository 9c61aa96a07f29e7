"""docs/commctl.md says what the commands print, and has all of them."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from commctl.main import whole
from tests.commctl.page import PAGE, examples, shape, written

NOT_RUN = {"user password", "token add", "token rm"}
"""They want a person at a terminal, or somebody who logged in by password: test_accounts.py."""


def commands(command: Any, name: str = "") -> Iterator[str]:
    """The names of all commands, such as `host list`."""
    for verb, inside in command.commands.items():
        full = f"{name} {verb}".strip()
        if hasattr(inside, "commands"):
            yield from commands(inside, full)
        else:
            yield full


def test_the_examples_print_what_the_page_says() -> None:
    said = examples(PAGE.read_text())
    printed = examples(written())
    others = [
        f"$ {command}\n{now}"
        for (command, before), (_, now) in zip(said, printed, strict=True)
        if shape(now) != shape(before)
    ]
    assert not others, "python -m tests.commctl.page"


def test_every_command_has_an_example() -> None:
    shown = " \n".join(command for command, _ in examples(PAGE.read_text()))
    for name in commands(typer.main.get_command(whole())):
        assert name in NOT_RUN or re.search(rf"^commctl {name}\b", shown, re.MULTILINE), name
