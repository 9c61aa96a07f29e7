"""The command `commctl`: which commands there are, options of all of them, and how it ends.

Exit status: 0 done; 1 refused or not found; 2 used wrongly; 3 partial, 4 failed, 5 cancelled: an
operation; 6 no server or no log-in; 124 --timeout and 130 Ctrl-C, after which it goes on.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, NoReturn

import typer

from commctl import exits
from commctl.session import Globals, Session
from commctl.show.output import FORMATS
from commctl.show.refusals import as_typed
from commctl.show.text import cleaned, folded

PROGRAM = "commctl"
COMPLETE_VARIABLE = "_COMMCTL_COMPLETE"
UNTIL_CLOSED = 1
"""The exit status where whoever reads our output has seen enough."""

# By name: module and attribute below `commctl.commands`, and what it is for.
COMMANDS = {
    "status": ("status:status", "What needs a person, and what runs; or how one thing is."),
    "host": ("hosts.host:commands", "Hosts: list, show, why, check, add, import, label, rm …"),
    "cluster": ("cluster:commands", "Clusters and their members."),
    "upgrade": ("begin:upgrade", "Upgrade a cluster's hosts, a few at a time."),
    "restart": ("begin:restart", "Restart a cluster's hosts, a few at a time."),
    "deploy": ("begin:deploy", "Bring a cluster's hosts to a version, a few at a time."),
    "run": ("run:run", "Run a script on a cluster's hosts, a few at a time."),
    "op": ("operation:commands", "Operations: list, show, watch, pause, cancel, retry …"),
    "window": ("planning.windows:commands", "When operations may start hosts."),
    "schedule": ("planning.schedules:commands", "Operations that begin by themselves."),
    "gate": ("planning.gates:commands", "What is asked before each host is started."),
    "policy": ("budget:policies", "How many members of a cluster may be away at once."),
    "lock": ("budget:locks", "Hosts that restart by themselves."),
    "history": ("history:history", "Who did what, when."),
    "diff": ("diff:diff", "What changed between two times."),
    "network": ("resource:networks", "Networks of clusters."),
    "container-manager": ("resource:container_managers", "Container managers of clusters."),
    "user": ("people:users", "Who may log in, and what they may do."),
    "token": ("people:tokens", "Tokens for programs."),
    "webhook": ("webhook:commands", "Where the service sends events to."),
    "login": ("account:login", "Log in to a service."),
    "logout": ("account:logout", "Revoke the token of a log-in, and forget it."),
    "whoami": ("account:whoami", "Who we are to the service, and what we may do."),
    "api": ("tools:api", "Ask the API for anything."),
    "profile": ("tools:profiles", "Servers that are known."),
    "open": ("tools:open_page", "Open the console in a browser."),
    "completion": ("tools:completion", "What a shell reads to complete commands."),
    "version": ("tools:version", "The versions of client and service."),
}
EVERYTHING = "*"
INVENTORY = "ansible"
"""A form of `host list` alone."""
COMMON = """
Options of all commands may stand anywhere. Exit status: 0 done, 1 refused or not found, 2 used
wrongly, 3 partial, 4 failed, 5 cancelled, 6 no server or no log-in, 124 after --timeout, 130 after
Ctrl-C; after these two what was begun goes on.
"""
VALUED = (
    "--profile", "-s", "--server", "-o", "--output", "--ca", "--token-file", "--data", "--request",
    "--note",
)  # fmt: skip
SWITCHES = ("-q", "--quiet", "--no-color", "--utc", "--header")


def main() -> NoReturn:
    """The `commctl` command."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # as after `>&-`
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to the end
    # Where the terminal has no such character, it is shown as `\u25cf`.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line without the program's name; gives the exit status."""
    try:
        if COMPLETE_VARIABLE in os.environ:
            from commctl.manual import complete

            complete()
        ours, theirs = hoisted(arguments)
        app = application(*theirs[:2])
        status = app([*ours, *theirs], prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        if status == exits.INTERRUPTED:  # typer has it so, and says nothing
            return _interrupted()
        return int(status or 0)
    except exits.Ended as ended:
        return _end(ended.status, *ended.sentences)
    except typer.TyperException as error:
        return _wrong_use(error)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:
        _say_no_more()
        return UNTIL_CLOSED
    except UnicodeEncodeError:
        return _end(exits.USED_WRONGLY, "What was typed is no text in UTF-8.")
    except UnicodeDecodeError:
        return _end(exits.USED_WRONGLY, "What was read is no text in UTF-8.")
    except OSError as error:
        why = error.strerror or str(error)
        told = f"{error.filename}: {why}" if error.filename else why
        return _end(exits.REFUSED, told)


def _wrong_use(error: typer.TyperException) -> int:
    """In a sentence; where nothing was said at all, what could be."""
    told, context = error.format_message(), getattr(error, "ctx", None)
    if context is not None and told == context.get_help():
        print(told, file=sys.stderr)
        return exits.USED_WRONGLY
    command = context.command_path if context is not None else PROGRAM
    return _end(exits.USED_WRONGLY, f"{told} (see {command} --help)")


def _interrupted() -> int:
    if sys.stderr.isatty():
        print(file=sys.stderr)  # after the ^C, or the question
    return _end(exits.INTERRUPTED, "interrupted")


def _say_no_more() -> None:
    """Nor may Python try to write the rest at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(status: int, *sentences: str) -> int:
    try:
        sys.stdout.flush()
    except OSError:  # such as a full disk, which is told already
        _say_no_more()
    for sentence in sentences:
        told = cleaned(as_typed(sentence))
        if sys.stderr.isatty():
            told = "\n  ".join(folded(told, get_terminal_size().columns - len(f"{PROGRAM}: ")))
        print(f"{PROGRAM}: {told}", file=sys.stderr)
    return status


def hoisted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of all commands, wherever they stand, and everything else."""
    ours: list[str] = []
    theirs: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            theirs += [argument, *waiting]
        elif argument in VALUED:
            value = next(waiting, None)
            if value is None:
                raise exits.WrongUse(f"{argument} wants a value after it.")
            ours += [argument, value]
        elif argument.startswith(("-o=", "-s=")):
            ours += [argument[:2], argument[3:]]
        elif (
            argument in SWITCHES
            or argument.partition("=")[0] in VALUED
            or argument[:2] in ("-o", "-s")  # `-ojson`
        ):
            ours.append(argument)
        else:
            theirs.append(argument)
    return ours, theirs


def application(wanted: str | None = None, verb: str | None = None) -> typer.Typer:
    """The commands; those that are not wanted have a name only, so that it is there soon.

    Of a noun all verbs are there, unless the one that is wanted is among them.
    """
    app = typer.Typer(
        # Plain help: it ends up in files and pages as often as on a screen.
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        help="Look after a fleet of hosts, by a service of Commissaire.",
        epilog=COMMON,
    )
    app.callback()(_commctl)
    for name, (place, purpose) in COMMANDS.items():
        if wanted not in (name, EVERYTHING):
            app.command(name, help=purpose, short_help=purpose)(_elsewhere)
            continue
        module, _, attribute = place.partition(":")
        found = getattr(import_module(f"commctl.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(_only(found, verb), name=name, help=purpose, short_help=purpose)
        else:
            # A time such as -2h is no option.
            settings = {"ignore_unknown_options": True} if name == "diff" else None
            app.command(name, short_help=purpose, context_settings=settings)(found)
    return app


def _only(group: typer.Typer, verb: str | None) -> typer.Typer:
    """What each option of the others means takes long to find out."""
    inner = (each.typer_instance for each in group.registered_groups if each.typer_instance)
    for each in (group, *inner):
        for command in each.registered_commands:  # else it would be cut in the list of them
            told = command.help or (command.callback and command.callback.__doc__) or ""
            command.short_help = " ".join(told.partition("\n\n")[0].split())
    wanted = [command for command in group.registered_commands if command.name == verb]
    if not wanted:
        return group
    alone = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
    alone.registered_commands = wanted
    alone.callback()(_noun)  # one command alone would be the noun itself
    return alone


def _noun() -> None:
    """Of a noun there are verbs."""


def _elsewhere() -> None:
    """A command that was not asked for."""


def whole() -> typer.Typer:
    """All commands with all that they take."""
    return application(EVERYTHING)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {version()}")
        raise typer.Exit


def version() -> str:
    """Of this client."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("commissaire")
    except PackageNotFoundError:
        return "(not installed)"


def _commctl(
    ctx: typer.Context,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A server of config.toml.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("-s", "--server", metavar="URL", help="The service.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="table|wide|json|jsonl|tsv|name", help="The form."),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing but results.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="As NO_COLOR does.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Times in UTC, not in your zone.")] = False,
    header: Annotated[bool, typer.Option("--header", help="Names of columns in a pipe.")] = False,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates to trust in TLS.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The token; - is standard input.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data directory of a service of this machine."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Kept with changes, such as TICKET-7.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why: kept with changes, for all to read.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    _must_be_form(output)
    options = Globals(
        profile, server, output, quiet, no_color, utc, header, ca, token_file, data, request, note
    )
    ctx.obj = Session(options)
    ctx.call_on_close(ctx.obj.close)


def _must_be_form(output: str | None) -> None:
    if output not in (None, *FORMATS, INVENTORY):
        raise exits.WrongUse(f"-o {output} is none of {', '.join(FORMATS)}.")
