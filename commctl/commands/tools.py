"""`commctl api|open|completion|version|profile`: what is about no one thing of the fleet."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from commctl.exits import DONE, Ended, Refused, WrongUse
from commctl.login.profiles import read_profiles, say_where_from, write_profiles
from commctl.session import Session, session
from commctl.show.table import Column
from commctl.show.text import cleaned, json_text

VERBS = ("GET", "HEAD", "PUT", "POST", "DELETE")
PROFILES = (
    Column("name", "name"),
    Column("server", "server"),
    Column("used", "used"),
    Column("log-in", "login", drop=2),
)
profiles = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


def api(
    ctx: typer.Context,
    verb: Annotated[str, typer.Argument(metavar="METHOD", help="GET, PUT, POST or DELETE.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Below /api/v0, such as fleet/hosts.")
    ],
    fields: Annotated[
        list[str] | None,
        typer.Option("-f", metavar="K=V", help="Of the query of a GET, else of the body; K:=JSON."),
    ] = None,
    body: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="The body; - is standard input.")
    ] = None,
) -> int:
    """Ask the API for anything; docs/http.md has all that it knows."""
    use = session(ctx)
    verb = verb.upper()
    if verb not in VERBS:
        raise WrongUse(f"{verb} is none of {', '.join(VERBS)}.")
    given: dict[str, Any] = {}
    for name, value in map(_field, fields or ()):
        given.setdefault(name, []).append(value)
    told = {name: values[0] if len(values) == 1 else values for name, values in given.items()}
    is_read = verb in ("GET", "HEAD")
    if body is not None:
        text = sys.stdin.read() if str(body) == "-" else body.read_text()
        try:
            told = {**json.loads(text), **told}
        except (ValueError, TypeError) as error:
            raise WrongUse(f"{body} is no JSON object: {error}.") from None
    path = path.removeprefix("/api/v0").lstrip("/")
    answer = use.api.transport.request(
        verb, path, told if is_read else None, None if is_read or not told else told
    )
    if isinstance(answer.body, str):
        sys.stdout.write(cleaned(answer.body, lines=True))
    else:
        print(json_text(answer.body, indent=2 if use.out.is_terminal else None))
    return DONE


def _field(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise WrongUse(f"{text!r} is no field: KEY=VALUE, or KEY:=JSON.")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], json.loads(value)
    except ValueError:
        raise WrongUse(f"{text!r}: the value is no JSON.") from None


def open_page(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="ID", help="A host, a cluster, or an operation.")
    ] = None,
) -> int:
    """Open the console in a browser, at one thing of the fleet; in a pipe, print the address."""
    use = session(ctx)
    url = use.server.url if name is None else f"{use.server.url}/{_page_of(use, name)}"
    if use.out.is_terminal:
        import webbrowser

        if webbrowser.open(url):
            use.out.say(url)  # also where the browser shows nothing
            return DONE
    use.out.line(url)
    return DONE


def _page_of(use: Session, name: str) -> str:
    """Where the console has a cluster, an operation or a host."""
    from commctl.commands.operation import PREFIX, find

    if name in use.api.clusters():
        return f"cluster/{quote(name)}"
    if PREFIX.fullmatch(name):
        with suppress(Refused):
            return f"operation/{find(use, name)['id']}"
    return f"host/{quote(use.api.host(name)['address'], safe=':')}"


def completion(
    ctx: typer.Context, shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")]
) -> int:
    """Print what a shell reads to complete commands: put it where the shell looks for it."""
    from commctl.manual import SHELLS, completion_script

    if shell not in SHELLS:
        raise WrongUse(f"{shell} is none of {', '.join(SHELLS)}.")
    print(completion_script(shell))
    return DONE


def version(ctx: typer.Context) -> int:
    """The version of this client, and of the service."""
    from commctl.main import version as ours

    use = session(ctx)
    told = {"client": ours(), "server": ""}
    try:
        told["server"] = str(use.api.get("openapi.json")["info"]["version"])
    except Ended as ended:
        use.out.say(ended.sentences[0])
    use.out.record(told, told, ours())
    return DONE


@profiles.command("list")
def list_profiles(ctx: typer.Context) -> int:
    """List the servers of config.toml."""
    use = session(ctx)
    known = read_profiles(os.environ)
    rows = (
        {
            "name": name,
            "server": profile.get("server"),
            "used": "*" if name == known.default else "",
            "login": next((key for key in profile if key not in ("server", "ca")), ""),
        }
        for name, profile in known.by_name.items()
    )
    if not use.out.rows(PROFILES, rows, "profile"):
        use.out.say("Make one: commctl login URL")
    return DONE


@profiles.command("use")
def use_profile(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")]) -> int:
    """Speak to this server from now on."""
    known = read_profiles(os.environ)
    if name not in known.by_name:
        raise Refused(f"There is no profile {name} in {known.path}.")
    write_profiles(known._replace(default=name))
    session(ctx).out.say(f"{name} is used from now on.")
    return DONE


@profiles.command("show")
def show_profile(ctx: typer.Context) -> int:
    """Which server is spoken to, as whom, and who says so."""
    use = session(ctx)
    server = use.server
    shown = {
        "server": server.url,
        "log-in": say_where_from(server),
        "ca": str(server.ca or ""),
        "config": str(read_profiles(os.environ).path),
    }
    use.out.record(shown, shown, server.url)
    return DONE
