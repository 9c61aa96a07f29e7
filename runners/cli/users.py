"""`commissaire user …`: who may log in, and what they may do.

They are in the database, or in the file that `--users` names.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from domain.roles import ROLES, Role, Standing, standing
from runners.cli.accounts import AccountsOfDatabase, accounts_of_database
from runners.cli.options import (
    ConfigFile,
    DatabaseUrl,
    DataDirectory,
    chosen_clusters,
    chosen_role,
    must_be_kept_there,
)
from runners.cli.output import show_table
from runners.os_support.json_file import ChangeRefused, check_new_name
from runners.security.users import DEFAULT_ROLE, UsersFile, hash_password, users_file
from runners.settings.reading import settings_of
from web.authentication.authentication import NO_PASSWORD

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.unit import Unit
    from projections.accounts.register import AccountRegister

PASSWORD_INPUT_BYTES_MAX = 4096

user_commands = typer.Typer(rich_markup_mode=None, help="Who may log in, and what they may do.")

UserName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]

FileOfUsers = Annotated[str | None, typer.Option("--users", metavar="FILE", help="As of serve.")]


def _users_file(config: str | None, data: str | None, users: str | None) -> UsersFile | None:
    """The file that `serve` reads with the same options; None where there is none to be read."""
    settings = settings_of(config=config, data=data, users=users)
    return users_file(settings) if settings.users is not None else None


TAKEN = "There is a user {} already: --replace changes the password."


@user_commands.command("add")
def add_user(
    name: UserName,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(ROLES),
            help=f"What the user may do. Without it: {DEFAULT_ROLE}; with --replace, as before.",
        ),
    ] = None,
    cluster_role: Annotated[
        list[str] | None,
        typer.Option(metavar="CLUSTER=ROLE", help="More in one cluster; may be repeated."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="The user comes with a client certificate only.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Change the password of a user, and the roles that are said."
        ),
    ] = False,
    users: FileOfUsers = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Add a user; the password is asked for twice, or read with --password-stdin."""
    chosen = chosen_role(role) if role is not None else None
    clusters = chosen_clusters(cluster_role)
    check_new_name("user", name)

    password = _Password(name, from_stdin=password_stdin, is_none=no_password)
    file = _users_file(config, data, users)
    if file is None:
        with accounts_of_database(config, data, database, writes=True) as accounts:
            known = {user.name for user in accounts.everybody().users}
            if name in known and not replace:
                raise ChangeRefused(TAKEN.format(name))
            has = _put(accounts, name, chosen, clusters, password.hashed(), replace=replace).role
    else:
        if clusters:
            raise ChangeRefused(f"Users of {file.path} have one role everywhere.")
        file.check_addition(name, replace=replace)
        has = file.add(name, password.hashed(), chosen, replace=replace).role
    print(f"{name} may log in as {has}.")


class _Password:
    """A new password: asked for when it is wanted, once all else is right."""

    def __init__(self, name: str, *, from_stdin: bool, is_none: bool) -> None:
        self._name, self._from_stdin, self._is_none = name, from_stdin, is_none

    def hashed(self) -> bytes:
        """Its hash, or that there is none."""
        if self._is_none:
            return NO_PASSWORD
        asked = _password_from_stdin() if self._from_stdin else _password_from_terminal(self._name)
        return hash_password(asked)


def _put(
    accounts: AccountsOfDatabase,
    name: str,
    role: Role | None,
    clusters: dict[str, Role],
    hashed: bytes,
    *,
    replace: bool,
) -> Standing:
    from domain.commands import account_commands

    def put(unit: "Unit", register: "AccountRegister") -> Standing:
        user = unit.user(name)
        if not (replace and user.exists):
            may = standing(role or DEFAULT_ROLE, clusters)
            account_commands.add_user(unit, register, name, may, hashed)
            return may
        before = user.standing
        may = standing(role or before.role, clusters if role or clusters else dict(before.clusters))
        account_commands.change_user(unit, register, name, may, hashed)
        return may

    return accounts.change(put)


@user_commands.command("list")
def list_users(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
    users: FileOfUsers = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """List the users and their roles."""
    settings = settings_of(config=config, data=data, users=users)
    if settings.users is None:
        with accounts_of_database(config, data, database) as accounts:
            found = [(user.name, user.standing) for user in accounts.everybody().users]
    else:
        must_be_kept_there(settings.users_file, settings)
        file = users_file(settings).read()
        found = [(name, Standing(account.role)) for name, account in sorted(file.items())]
    if as_json:
        rows = [
            {"name": name, "role": may.role, "clusters": dict(may.clusters)} for name, may in found
        ]
        print(json.dumps(rows))
    else:
        show_table(("name", "role", "in clusters"), [(n, m.role, _told(m)) for n, m in found])


def _told(may: Standing) -> str:
    return ", ".join(f"{cluster}={role}" for cluster, role in may.clusters)


@user_commands.command("remove")
def remove_user(
    name: UserName,
    users: FileOfUsers = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Remove a user, who is then refused at once, and so are their tokens."""
    file = _users_file(config, data, users)
    if file is None:
        from domain.commands import account_commands

        with accounts_of_database(config, data, database, writes=True) as accounts:
            accounts.everybody()  # or a sentence that says why not
            accounts.change(
                lambda unit, register: account_commands.remove_user(unit, register, name)
            )
    else:
        file.remove(name)
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
