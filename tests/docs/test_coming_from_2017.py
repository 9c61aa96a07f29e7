"""`docs/coming-from-2017.md` names tests and commands that there are, and the import's options."""

import re

import pytest
import typer
from typer.core import TyperGroup

from commctl.main import whole
from runners.cli.main import app
from tests.docs.documents import ROOT

PAGE = (ROOT / "docs/coming-from-2017.md").read_text()
HELD_BY = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
COMMANDS = sorted(set(re.findall(r"`commctl ([a-z-]+(?: [a-z-]+)?)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), HELD_BY, ids=lambda each: str(each)[-60:])
def test_what_is_different_is_held_by_a_test_that_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name or 'test_'}", (ROOT / file).read_text(), re.MULTILINE)


def test_every_difference_names_what_holds_it() -> None:
    section = PAGE.partition("## Different on purpose")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        assert "`tests/" in row.rpartition(" | ")[2], row


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_of_it_is_there(words: str) -> None:
    command = typer.main.get_command(whole())
    for word in words.split():
        assert isinstance(command, TyperGroup)
        command = command.commands[word]


def test_it_names_every_option_of_the_import() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    options = {
        option
        for parameter in group.commands["import-2017"].params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert {option for option in options if option not in PAGE} <= {"--help"}
