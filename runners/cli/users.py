"""`commissaire user …`: who may log in, and what they may do."""

import json
import sys
from typing import Annotated

import typer

from runners.cli.options import ConfigFile, DataDirectory, chosen_role, must_be_kept_there
from runners.os_support.json_file import ChangeRefused
from runners.security.users import DEFAULT_ROLE, UsersFile, hash_password
from runners.settings.reading import settings_of
from web.authentication.authentication import NO_PASSWORD, ROLES

PASSWORD_INPUT_BYTES_MAX = 4096

user_commands = typer.Typer(rich_markup_mode=None, help="Who may log in, and what they may do.")

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
    settings = settings_of(config=config, data=data, users=users)
    must_be_kept_there(settings.users_file, settings)
    accounts = sorted(UsersFile(settings.users_file).read().items())
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
