"""The command line: `commissaire serve`, `backup`, `import-2017`, `log …`, `user …`, and others.

Exit status 0: done. 1: it failed, or what was looked for is wrong. 2: the command was used
wrongly. 130: Ctrl-C. What goes wrong with a command is one line on stderr.
"""

import inspect
import os
import sys
from typing import Annotated, NoReturn

import typer
from pydantic.fields import FieldInfo

from runners.cli.backup import backup
from runners.cli.doctor.command import doctor
from runners.cli.grouped_help import GroupedHelp
from runners.cli.history import history
from runners.cli.import_2017.command import import_2017
from runners.cli.log.commands import log_commands
from runners.cli.log.proof_commands import checkpoint, key, prove, verify
from runners.cli.projections import projection_commands
from runners.cli.replay import replay
from runners.cli.tokens import token_commands
from runners.cli.users import user_commands
from runners.database.backup import BackupRefused
from runners.database.existing import DatabaseRefused
from runners.os_support.json_file import BrokenFile, ChangeRefused
from runners.os_support.terminal_text import printable
from runners.settings.kinds import sources
from runners.settings.reading import WrongSettings, flag, read_settings, variable
from runners.settings.settings import Settings

PROGRAM = "commissaire"
FAILED = 1
USED_WRONGLY = 2
# What a shell says of a command that was ended by Ctrl-C.
INTERRUPTED = 130

# Plain help: it ends up in files and scripts as often as on a screen.
app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A fleet manager for container hosts and clusters.",
)
app.add_typer(log_commands, name="log")
log_commands.command("checkpoint")(checkpoint)
log_commands.command("prove")(prove)
log_commands.command("key")(key)
log_commands.command("verify")(verify)
app.add_typer(projection_commands, name="projections")
app.add_typer(user_commands, name="user")
app.add_typer(token_commands, name="token")
app.command("backup")(backup)
app.command("doctor")(doctor)
app.command("history")(history)
app.command("import-2017")(import_2017)
app.command("replay")(replay)


def main() -> NoReturn:
    """The `commissaire` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command line without the program's name; returns the exit status."""
    if sys.stdout is None:  # closed by whoever started us: what we say would get lost
        return _fail("there is no standard output")
    try:
        status = app(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except WrongSettings as wrong:
        return _fail(*wrong.sentences, status=USED_WRONGLY)
    except typer.TyperException as error:
        return _fail(f"{error.format_message()} (see --help)", status=USED_WRONGLY)
    except (BackupRefused, ChangeRefused, BrokenFile, DatabaseRefused) as refused:
        return _fail(str(refused))
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", status=INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has seen enough; nor may Python try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _fail(*sentences: str, status: int = FAILED) -> int:
    for sentence in sentences:
        _tell(sentence)
    return status


def _tell(sentence: str) -> None:
    print(f"{PROGRAM}: {printable(sentence)}", file=sys.stderr)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"{PROGRAM} {version(PROGRAM)}")
        except PackageNotFoundError:
            print(f"{PROGRAM} (not installed)")
        raise typer.Exit


@app.callback()
def _commissaire(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


def _serve(**flags: str | bool | list[str] | None) -> int:
    """Serve the API, and look after the hosts.

    A setting is read from its option, else from its variable, else from its key in the file of
    --config (the option's name with underscores), else it has its default.
    """
    settings = read_settings(flags, os.environ, _tell)
    # Only here: it brings in the whole service.
    from runners.service.serve import serve

    return serve(settings)


def _option(name: str) -> inspect.Parameter:
    """The option for a setting; its value stays text, which the settings check."""
    field = Settings.model_fields[name]
    switch = field.annotation is bool
    several = sources(field).several
    option = typer.Option(
        f"{flag(name)}/{flag('no_' + name)}" if switch else flag(name),
        metavar=None if switch else sources(field).metavar,
        help=f"{field.description} [{_hints(name, field)}]",
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[list[str] if several else bool if switch else str, option],
    )


def _hints(name: str, field: FieldInfo) -> str:
    if field.default in (None, ()):
        return variable(name)
    shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    return f"{variable(name)}, default: {shown.lower() if shown == 'True' else shown}"


def _uncut(group: typer.Typer) -> None:
    """In a list of commands each has its whole description: else typer cuts it."""
    for command in group.registered_commands:
        told = command.help or (command.callback and command.callback.__doc__) or ""
        command.short_help = " ".join(told.partition("\n\n")[0].split())
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _uncut(inner.typer_instance)


def _add_serve() -> None:
    """Puts `serve` on the command line, with an option for each setting that may have a flag."""
    fields = Settings.model_fields
    options = [_option(n) for n, field in fields.items() if "flag" in sources(field).allowed]
    others = [n for n, field in fields.items() if sources(field).allowed == ("variable",)]
    tables = [n for n, field in fields.items() if sources(field).allowed == ("file",)]
    # typer asks a function for its parameters as `inspect` does, and this is where that looks.
    signature = inspect.Signature(options, return_annotation=int)
    _serve.__signature__ = signature  # type: ignore[attr-defined]
    _serve.__annotations__ = {option.name: option.annotation for option in options}
    epilog = "Only as a variable: " + "; ".join(
        f"{variable(n)}: {fields[n].description}" for n in others
    )
    epilog += " Only in the file of --config: " + "; ".join(
        f"{n}: {fields[n].description}" for n in tables
    )
    app.command("serve", cls=GroupedHelp, epilog=epilog)(_serve)


_add_serve()
_uncut(app)


if __name__ == "__main__":
    main()
