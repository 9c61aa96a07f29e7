"""`commctl user …` and `commctl token …`: who may do what."""

from typing import Annotated, Any

import typer

from commctl.commands.account import PasswordStdin, ask_password
from commctl.commands.arguments import OtherRole, Role, Yes, role_of
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, REFUSED, Refused, WrongUse
from commctl.paths import in_path
from commctl.records import Record
from commctl.session import session
from commctl.show.table import Column

users = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
tokens = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME")]
Names = Annotated[list[str], typer.Argument(metavar="NAME…")]
Clusters = Annotated[
    list[str] | None,
    typer.Option("-c", "--cluster", metavar="CLUSTER=ROLE", help="More there; repeatable."),
]
USERS = (
    Column("name", "name"),
    Column("role", "role"),
    Column("clusters", "clusters", "folds", 2),
    Column("password", "has_password", drop=4),
    Column("added", "added", "time", 3),
    Column("kept in", "kept_in", drop=5),
)
TOKENS = (
    Column("name", "name"),
    Column("role", "role"),
    Column("owner", "owner", drop=2),
    Column("clusters", "clusters", "folds", 3),
    Column("created", "created", "time", 4),
    Column("expires", lambda token: (token["expires"] or "never")[:16], drop=1),
    Column("kept in", "kept_in", drop=5),
)


def _roles(words: list[str] | None) -> Record:
    pairs = [word.partition("=") for word in words or ()]
    if not all(name and separator and role for name, separator, role in pairs):
        raise WrongUse("More in a cluster is said as CLUSTER=ROLE.")
    roles = {name: role_of(role, f"-c {name}=") for name, _, role in pairs}
    return {"clusters": roles} if pairs else {}


@users.command("list")
def list_users(ctx: typer.Context) -> int:
    """List users."""
    use = session(ctx)
    use.out.rows(USERS, use.api.get("users"), "user")
    return DONE


@users.command("add")
def add_user(
    ctx: typer.Context,
    name: Name,
    role: Role = "viewer",
    clusters: Clusters = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="They come with a client certificate.")
    ] = False,
    password_stdin: PasswordStdin = False,
) -> int:
    """Add a user; the password is asked for."""
    use = session(ctx)
    path = f"user/{in_path(name)}"
    body: Record = {"role": role, **_roles(clusters)}
    if name in {user["name"] for user in use.api.get("users")}:
        raise Refused(f"There is a user {name}: `commctl user set` changes one.")
    if not no_password:
        question = f"Password of {name}: "
        body["password"] = ask_password(question, from_stdin=password_stdin, twice=True)
    _show(ctx, use.api.put(path, body))
    return DONE


@users.command("set")
def set_user(
    ctx: typer.Context,
    name: Name,
    role: OtherRole = None,
    clusters: Clusters = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for another one.")] = False,
    password_stdin: PasswordStdin = False,
) -> int:
    """Change what a user may do, or set another password; sessions of theirs end."""
    use = session(ctx)
    path = f"user/{in_path(name)}"
    body: Record = {**({} if role is None else {"role": role}), **_roles(clusters)}
    use.api.get(path)  # a misspelt name makes nobody
    if password or password_stdin:
        question = f"Password of {name}: "
        body["password"] = ask_password(question, from_stdin=password_stdin, twice=True)
    _show(ctx, use.api.put(path, body))
    return DONE


@users.command("password")
def own_password(ctx: typer.Context) -> int:
    """Change your own password."""
    use = session(ctx)
    name = use.api.get("me")["name"]
    old = ask_password(f"Password of {name} so far: ", from_stdin=None)
    new = ask_password("Another one: ", from_stdin=None, twice=True)
    use.api.put(f"user/{in_path(name)}/password", {"old": old, "new": new})
    use.out.say(f"{name} has another password.")
    return DONE


@users.command("rm")
def remove_users(ctx: typer.Context, names: Names, yes: Yes = False) -> int:
    """Remove users; their tokens and sessions end."""
    return _remove(ctx, "user", names, yes=yes)


@tokens.command("list")
def list_tokens(ctx: typer.Context) -> int:
    """List your tokens; administrators see all."""
    use = session(ctx)
    use.out.rows(TOKENS, use.api.get("tokens"), "token")
    return DONE


@tokens.command("add")
def add_token(
    ctx: typer.Context,
    name: Name,
    role: Role = "viewer",
    expires: Annotated[
        str, typer.Option(metavar="SPAN|TIME", help="60s, 12h, 30d, 2w, or a time.")
    ] = "30d",
    clusters: Clusters = None,
) -> int:
    """Make a token for a program; it is written to standard output, this once."""
    use = session(ctx)
    body: Record = {"role": role, "expires": expires, **_roles(clusters)}
    made = use.api.put(f"token/{in_path(name)}", body)
    if use.out.form in ("json", "jsonl"):
        use.out.record({}, made, name)
        return DONE
    use.out.say(f"{name} may act as {made['role']} until {made['expires']}. Shown only now:")
    use.out.line(made["token"])
    return DONE


@tokens.command("rm")
def remove_tokens(ctx: typer.Context, names: Names, yes: Yes = False) -> int:
    """Revoke tokens, which are then refused at once."""
    return _remove(ctx, "token", names, yes=yes)


def _show(ctx: typer.Context, user: Any) -> None:
    shown = {key: user[key] for key in ("name", "role", "clusters", "kept_in")}
    session(ctx).out.record(shown, user, user["name"])


def _remove(ctx: typer.Context, noun: str, names: list[str], *, yes: bool) -> int:
    use = session(ctx)
    if not use.out.ask(f"Remove {noun} {', '.join(names)}?", yes=yes):
        return REFUSED

    def removed(name: str) -> str:
        use.api.delete(f"{noun}/{in_path(name)}")
        return "removed"

    return tell(use, each(names, removed), noun)
