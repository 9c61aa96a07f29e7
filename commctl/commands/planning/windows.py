"""`commctl window …`: when operations may start hosts."""

from typing import Annotated

import typer

from commctl.commands.arguments import Yes
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, REFUSED
from commctl.paths import in_path
from commctl.records import Record
from commctl.session import session
from commctl.show.table import Column
from commctl.show.times import seconds

COLUMNS = (
    Column("name", "name"),
    Column("open", "open"),
    Column("until", "until", "time", 1),
    Column("next", "next", "time"),
    Column("starts", "starts"),
    Column("zone", "zone", drop=2),
    Column("seconds", "duration_s", "number", 3),
    Column("except", "except", "folds", 4),
)
commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME")]
Names = Annotated[list[str], typer.Argument(metavar="NAME…")]
Zone = Annotated[str, typer.Option("--zone", metavar="ZONE", help="Europe/Berlin, say, or UTC.")]


@commands.command("list")
def list_windows(ctx: typer.Context) -> int:
    """List windows: which are open, until when, and when the others open."""
    use = session(ctx)
    use.out.rows(COLUMNS, use.api.get("windows"), "window")
    return DONE


@commands.command("show")
def show_windows(ctx: typer.Context, names: Names) -> int:
    """Show windows."""
    use = session(ctx)
    for name in names:
        found = use.api.get(f"window/{in_path(name)}")
        use.out.record(found, found, name)
    return DONE


@commands.command("set")
def set_window(
    ctx: typer.Context,
    name: Name,
    starts: Annotated[str, typer.Argument(metavar="CRON", help="'0 22 * * 1-5', say.")],
    span: Annotated[str, typer.Argument(metavar="SPAN", help="How long it is open: 6h, say.")],
    zone: Zone = "UTC",
    but: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="DATE", help="It does not open then; repeatable."),
    ] = None,
) -> int:
    """Define a window, or change it: also for operations that wait for it."""
    use = session(ctx)
    body: Record = {"zone": zone, "starts": starts, "duration_s": int(seconds(span))}
    made = use.api.put(f"window/{in_path(name)}", body | {"except": list(but or ())})
    use.out.record(made, made, name)
    return DONE


@commands.command("rm")
def remove_windows(ctx: typer.Context, names: Names, yes: Yes = False) -> int:
    """Remove windows that nothing keeps to."""
    use = session(ctx)
    if not use.out.ask(f"Remove window {', '.join(names)}?", yes=yes):
        return REFUSED

    def removed(name: str) -> str:
        use.api.delete(f"window/{in_path(name)}")
        return "removed"

    return tell(use, each(names, removed), "window")
