"""`commctl webhook …`: where the service sends events to."""

from pathlib import Path
from typing import Annotated, Any

import typer

from commctl.commands.arguments import Yes
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, REFUSED, Refused, WrongUse
from commctl.login.secret_files import read_secret
from commctl.paths import in_path
from commctl.records import Record
from commctl.session import Session, session
from commctl.show.table import Column

TERMS = ("url", "types", "subjects", "form", "summaries", "ca_path")
ALL = "all"
"""Said in place of types or subjects: of each."""
commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME")]
Names = Annotated[list[str], typer.Argument(metavar="NAME…")]
Url = Annotated[
    str | None,
    typer.Argument(metavar="URL", help="Where there is no secret in it; else --url-file."),
]
UrlFile = Annotated[Path | None, typer.Option(metavar="FILE", help="The URL; - is standard input.")]
SecretFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The secret; else one is made, and shown once.")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="host.failed, host.* …; repeatable; or all."),
]
Subjects = Annotated[
    list[str] | None,
    typer.Option("--subject", metavar="SUBJECT", help="cluster/web …; repeatable; or all."),
]
Form = Annotated[
    str | None,
    typer.Option("--form", metavar="cloudevents|text", help="text: a line, for chat tools."),
]
Summaries = Annotated[
    bool | None,
    typer.Option("--summaries/--no-summaries", help="Of rolls, not each step of each host."),
]
Ca = Annotated[
    str | None,
    typer.Option("--ca-path", metavar="PATH", help="Certificates, where the service runs."),
]
COLUMNS = (
    Column("name", "name"),
    Column("status", "status", "status"),
    Column("url", "url"),
    Column("types", lambda hook: hook["types"] or "all", "folds", 2),
    Column("form", "form", drop=3),
    Column("why", "reason", drop=1),
)
DELIVERIES = (
    Column("at", "at", "time"),
    Column("event", lambda sent: sent["position"] or "", "number"),
    Column("type", "type"),
    Column("subject", "subject", drop=1),
    Column("status", lambda sent: "done" if sent["delivered"] else "failed", "status"),
    Column("answer", "status", drop=2),
    Column("ms", "took_ms", "number", 3),
    Column("why", "reason", "folds", 1),
)


@commands.command("list")
def list_webhooks(ctx: typer.Context) -> int:
    """List webhooks, and how each is."""
    use = session(ctx)
    use.out.rows(COLUMNS, use.api.get("webhooks"), "webhook")
    return DONE


@commands.command("show")
def show_webhooks(ctx: typer.Context, names: Names) -> int:
    """Show webhooks, and how far each has come."""
    use = session(ctx)
    for name in names:
        found = use.api.get(f"webhook/{in_path(name)}")
        use.out.record(found, found, name)
    return DONE


@commands.command("add")
def add_webhook(
    ctx: typer.Context,
    name: Name,
    url: Url = None,
    url_file: UrlFile = None,
    secret_file: SecretFile = None,
    types: Types = None,
    subjects: Subjects = None,
    form: Form = None,
    summaries: Summaries = None,
    ca_path: Ca = None,
) -> int:
    """Send events to a URL from now on; the secret that signs them goes to standard output."""
    use = session(ctx)
    body = _said(types, subjects, form, summaries, ca_path)
    body["url"] = _url(url, url_file)
    if body["url"] is None:
        raise WrongUse("Where to? A URL, or --url-file FILE.")
    if name in {hook["name"] for hook in use.api.get("webhooks")}:
        raise Refused(f"There is a webhook {name}: `commctl webhook set` changes one.")
    _secret_of(body, secret_file)
    made = use.api.put(f"webhook/{in_path(name)}", body)
    return _show_secret(use, name, made)


@commands.command("set")
def set_webhook(
    ctx: typer.Context,
    name: Name,
    url: Url = None,
    url_file: UrlFile = None,
    types: Types = None,
    subjects: Subjects = None,
    form: Form = None,
    summaries: Summaries = None,
    ca_path: Ca = None,
) -> int:
    """Change what is sent, or where to; what is not said stays. One that was given up goes on."""
    use = session(ctx)
    path = f"webhook/{in_path(name)}"
    known = use.api.get(path)
    body = {key: known[key] for key in TERMS} | _said(types, subjects, form, summaries, ca_path)
    body["url"] = _url(url, url_file) or known["url"]
    changed = use.api.put(path, body)
    changed.pop("secret", None)
    use.out.record(changed, changed, name)
    return DONE


@commands.command("resume")
def resume_webhooks(ctx: typer.Context, names: Names) -> int:
    """Let webhooks that were given up go on where they stopped."""
    use = session(ctx)

    def resumed(name: str) -> str:
        path = f"webhook/{in_path(name)}"
        known = use.api.get(path)
        use.api.put(path, {key: known[key] for key in TERMS})
        return "resumed" if known["status"] == "given_up" else "goes on"

    return tell(use, each(names, resumed), "webhook")


@commands.command("rotate")
def rotate_secret(ctx: typer.Context, name: Name, secret_file: SecretFile = None) -> int:
    """Sign with another secret from now on, and for a day with the one before it, too."""
    use = session(ctx)
    body: Record = {}
    _secret_of(body, secret_file)
    return _show_secret(use, name, use.api.post(f"webhook/{in_path(name)}/secret", body))


@commands.command("test")
def test_webhook(ctx: typer.Context, name: Name) -> int:
    """Send a message at once, and say what came of it."""
    use = session(ctx)
    sent = use.api.post(f"webhook/{in_path(name)}/test", {})
    shown = {key: sent[key] for key in ("delivered", "status", "took_ms", "reason")}
    use.out.record(shown, sent, name)
    return DONE if sent["delivered"] else REFUSED


@commands.command("deliveries")
def list_deliveries(ctx: typer.Context, name: Name) -> int:
    """List the latest attempts to deliver, the newest first."""
    use = session(ctx)
    found = use.api.get(f"webhook/{in_path(name)}/deliveries")
    if use.out.rows(DELIVERIES, found, "attempt") == 0:
        use.out.say("Nothing was sent yet: `commctl webhook test` sends something.")
    return DONE


@commands.command("rm")
def remove_webhooks(ctx: typer.Context, names: Names, yes: Yes = False) -> int:
    """Send nothing to webhooks any more; their secrets are destroyed."""
    use = session(ctx)
    if not use.out.ask(f"Remove webhook {', '.join(names)}?", yes=yes):
        return REFUSED

    def removed(name: str) -> str:
        use.api.delete(f"webhook/{in_path(name)}")
        return "removed"

    return tell(use, each(names, removed), "webhook")


def _said(
    types: list[str] | None,
    subjects: list[str] | None,
    form: str | None,
    summaries: bool | None,
    ca_path: str | None,
) -> Record:
    """What was said of the terms."""
    given: dict[str, Any] = {
        "types": [] if types == [ALL] else types or None,
        "subjects": [] if subjects == [ALL] else subjects or None,
        "form": form,
        "summaries": summaries,
        "ca_path": ca_path,
    }
    return {key: value for key, value in given.items() if value is not None}


def _url(url: str | None, file: Path | None) -> str | None:
    if url is not None and file is not None:
        raise WrongUse("URL and --url-file: one of the two.")
    return read_secret(file) if file is not None else url


def _secret_of(body: Record, file: Path | None) -> None:
    if file is not None:
        body["secret"] = read_secret(file)


def _show_secret(use: Session, name: str, made: Record) -> int:
    if use.out.form in ("json", "jsonl"):
        use.out.record({}, made, name)
        return DONE
    if made["secret"] is None:
        use.out.say(f"Messages to {name} are signed with the secret that was given.")
        return DONE
    use.out.say(f"Messages to {name} are signed with this secret. Shown only now:")
    use.out.line(made["secret"])
    return DONE
