"""`commctl network …` and `commctl container-manager …`, which are alike."""

import json
from pathlib import Path
from typing import Annotated

import typer

from commctl.commands.arguments import Yes
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, REFUSED, WrongUse
from commctl.login.secret_files import read_secret
from commctl.paths import in_path
from commctl.records import Record
from commctl.session import session
from commctl.show.table import Column

SECRETS = ("token",)
COLUMNS = (Column("name", "name"), Column("type", "type"), Column("options", "options", "folds", 1))
Names = Annotated[list[str], typer.Argument(metavar="NAME…")]
Options = Annotated[
    list[str] | None,
    typer.Option("-f", "--option", metavar="KEY=VALUE", help="Repeatable; KEY=@FILE reads a file."),
]


def _commands(path: str, noun: str) -> typer.Typer:
    commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

    @commands.command("list", help=f"List {noun}s.")
    def list_all(ctx: typer.Context) -> int:
        use = session(ctx)
        names = use.api.get(f"{path}s")
        use.out.rows(COLUMNS, (use.api.get(f"{path}/{in_path(name)}") for name in names), noun)
        return DONE

    @commands.command("show", help=f"Show {noun}s.")
    def show(ctx: typer.Context, names: Names) -> int:
        use = session(ctx)
        for name in names:
            found = use.api.get(f"{path}/{in_path(name)}")
            use.out.record({**found, **found["options"], "options": ""}, found, name)
        return DONE

    @commands.command("create", help=f"Make a {noun}; the same again changes nothing.")
    def create(
        ctx: typer.Context,
        name: Annotated[str, typer.Argument(metavar="NAME")],
        kind: Annotated[str | None, typer.Option("--type", metavar="TYPE")] = None,
        options: Options = None,
    ) -> int:
        use = session(ctx)
        body: Record = {"options": dict(map(_option, options or ()))}
        body |= {} if kind is None else {"type": kind}
        found = use.api.put(f"{path}/{in_path(name)}", body)
        use.out.record({**found, **found["options"], "options": ""}, found, name)
        return DONE

    @commands.command("rm", help=f"Remove {noun}s that nothing uses.")
    def remove(ctx: typer.Context, names: Names, yes: Yes = False) -> int:
        use = session(ctx)
        if not use.out.ask(f"Remove {noun} {', '.join(names)}?", yes=yes):
            return REFUSED

        def removed(name: str) -> str:
            use.api.delete(f"{path}/{in_path(name)}")
            return "removed"

        return tell(use, each(names, removed), noun)

    return commands


def _option(text: str) -> tuple[str, object]:
    key, separator, value = text.partition("=")
    if not separator:
        raise WrongUse(f"{text!r} is no option: KEY=VALUE, or KEY=@FILE.")
    if value.startswith("@"):
        return key, read_secret(Path(value[1:]))
    if key in SECRETS:
        raise WrongUse(f"A {key} is no argument, which all can read: {key}=@FILE.")
    try:
        return key, json.loads(value) if value[:1] in "[{" else value
    except ValueError:
        raise WrongUse(f"{text!r}: the value is no JSON.") from None


networks = _commands("network", "network")
container_managers = _commands("containermanager", "container manager")
