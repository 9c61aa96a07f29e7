"""The command line: `commissaire serve`, `backup`, `replay`, `log …`, `projections …`, `user …`.

Exit status 0: done. 1: it failed, or what was looked for is wrong. 2: the command was used
wrongly. 130: Ctrl-C. What goes wrong with a command is one line on stderr.
"""

import inspect
import json
import os
import sys
from typing import Annotated, NoReturn

import typer
from pydantic.fields import FieldInfo

from runners.backup import BackupRefused
from runners.backup_command import backup
from runners.entries_file import BrokenFile, ChangeRefused
from runners.existing_database import DatabaseRefused
from runners.file_options import ConfigFile, DataDirectory, chosen_role, settings_of
from runners.history_command import history
from runners.log_commands import log_commands
from runners.projection_commands import projection_commands
from runners.replay_command import replay
from runners.settings import (
    Settings,
    WrongSettings,
    flag,
    read_settings,
    sources,
    variable,
)
from runners.showing import printable
from runners.token_commands import token_commands
from runners.users import DEFAULT_ROLE, UsersFile, hash_password
from web.authentication import NO_PASSWORD, ROLES

PROGRAM = "commissaire"
PASSWORD_INPUT_BYTES_MAX = 4096
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
user_commands = typer.Typer(rich_markup_mode=None, help="Who may log in, and what they may do.")
app.add_typer(log_commands, name="log")
app.add_typer(projection_commands, name="projections")
app.add_typer(user_commands, name="user")
app.add_typer(token_commands, name="token")
app.command("backup")(backup)
app.command("history")(history)
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
        print(f"{PROGRAM}: {printable(sentence)}", file=sys.stderr)
    return status


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
    settings = read_settings(flags, os.environ)
    # Only here: it brings in the whole service.
    from runners.serve import serve

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
    app.command("serve", epilog=epilog)(_serve)


_add_serve()

UserName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
FileOfUsers = Annotated[str | None, typer.Option("--users", metavar="FILE", help="As of serve.")]


def _users_file(config: str | None, data: str | None, users: str | None) -> UsersFile:
    """The file that `serve` reads with the same options and the same environment."""
    return UsersFile(settings_of(config=config, data=data, users=users).users_file)


@user_commands.command("add")
def add_user(
    name: UserName,
    role: Annotated[
        str, typer.Option(metavar="|".join(ROLES), help="What the user may do.")
    ] = DEFAULT_ROLE,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="The user comes with a client certificate only.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change the password and role of a user.")
    ] = False,
    users: FileOfUsers = None,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Add a user; the password is asked for twice, or read with --password-stdin."""
    chosen = chosen_role(role)
    file = _users_file(config, data, users)
    file.check_addition(name, replace=replace)
    if no_password:
        hashed = NO_PASSWORD
    else:
        hashed = hash_password(
            _password_from_stdin() if password_stdin else _password_from_terminal(name)
        )
    file.add(name, hashed, chosen, replace=replace)
    print(f"{name} may log in as {chosen}.")


@user_commands.command("list")
def list_users(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
    users: FileOfUsers = None,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """List the users and their roles."""
    accounts = sorted(_users_file(config, data, users).read().items())
    if as_json:
        print(json.dumps([{"name": name, "role": account.role} for name, account in accounts]))
        return
    # Only here: it takes longer to import than the command to run.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "role")
    for name, account in accounts:
        table.add_row(Text(name), account.role)
    Console().print(table)


@user_commands.command("remove")
def remove_user(
    name: UserName,
    users: FileOfUsers = None,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Remove a user, who is then refused at once."""
    _users_file(config, data, users).remove(name)
    print(f"{name} may not log in any more.")


def _password_from_stdin() -> str:
    text = sys.stdin.buffer.read(PASSWORD_INPUT_BYTES_MAX).removesuffix(b"\n").removesuffix(b"\r")
    try:
        return text.decode()
    except UnicodeDecodeError:
        # Not `from` it: the error quotes the password.
        raise ChangeRefused("The password on standard input is not UTF-8.") from None


def _password_from_terminal(name: str) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("There is no terminal to ask for a password: --password-stdin.")
    from getpass import getpass

    password = getpass(f"Password of {name}: ")
    if getpass("Once more: ") != password:
        raise ChangeRefused("The two passwords differ.")
    return password


if __name__ == "__main__":
    main()
