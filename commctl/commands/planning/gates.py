"""`commctl gate …`: what operations and policies may ask before each host."""

import typer

from commctl.exits import DONE
from commctl.session import session
from commctl.show.table import Column

COLUMNS = (Column("name", "name"), Column("asks", "asks"), Column("filter", "filter", "folds"))
commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@commands.callback()
def gates() -> None:
    """What is asked before each host is started."""


@commands.command("list")
def list_gates(ctx: typer.Context) -> int:
    """List the gates of the settings of the service."""
    use = session(ctx)
    use.out.rows(COLUMNS, use.api.get("gates"), "gate")
    return DONE
