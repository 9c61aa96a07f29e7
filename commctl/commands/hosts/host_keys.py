"""`commctl host key|hostkey|import`: credentials, the keys that hosts show, and many at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from commctl.commands.arguments import Addresses, KeyFile, OfCluster, Port
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, WrongUse
from commctl.login.secret_files import read_private
from commctl.paths import in_path
from commctl.session import session

GROUPS = ("clusters", "labels")
key_commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
hostkey_commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
Address = Annotated[str, typer.Argument(metavar="ADDRESS")]


def add_commands(commands: typer.Typer) -> None:
    """Put them beside the others of hosts."""
    commands.command("import")(import_hosts)
    commands.add_typer(key_commands, name="key", help="The credentials of hosts.")
    commands.add_typer(hostkey_commands, name="hostkey", help="The keys that hosts show.")


@key_commands.command("rotate")
def rotate(
    ctx: typer.Context,
    addresses: Addresses,
    key: KeyFile,
    user: Annotated[str | None, typer.Option("-u", "--user", metavar="USER")] = None,
    port: Port = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not try them on the host first.")
    ] = False,
) -> int:
    """Log in with another key from now on; it is tried first."""
    from base64 import b64encode

    use = session(ctx)
    given = {"remote_user": user, "ssh_port": port, "unchecked": unchecked or None}
    body = {"ssh_priv_key": b64encode(read_private(key)).decode()}
    body |= {name: value for name, value in given.items() if value is not None}  # type: ignore[misc] # JSON

    def put(address: str) -> str:
        use.api.put(f"host/{in_path(address)}/creds", body)
        return "rotated"

    return tell(use, each(addresses, put))


@hostkey_commands.command("show")
def show(ctx: typer.Context, address: Address) -> int:
    """The key of a host that is trusted, and one that it showed instead."""
    use = session(ctx)
    found = use.api.get(f"host/{in_path(address)}/hostkey")
    use.out.record(found, found, str(found["fingerprint"]))
    if found.get("refused"):
        use.out.say("Compare it with what `ssh-keygen -lf /etc/ssh/…_key.pub` says on the host:")
        use.out.say(f"  commctl host hostkey approve {address} {found['refused']}")
    return DONE


@hostkey_commands.command("approve")
def approve(
    ctx: typer.Context,
    address: Address,
    fingerprint: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="SHA256:…")],
) -> int:
    """Vouch for another key: the host was installed anew."""
    use = session(ctx)
    found = use.api.put(f"host/{in_path(address)}/hostkey", {"fingerprint": fingerprint})
    use.out.record(found, found, fingerprint)
    return DONE


@hostkey_commands.command("forget")
def forget(ctx: typer.Context, addresses: Addresses) -> int:
    """Trust whatever key is shown next."""
    use = session(ctx)

    def forgotten(address: str) -> str:
        use.api.delete(f"host/{in_path(address)}/hostkey")
        return "forgotten"

    return tell(use, each(addresses, forgotten))


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise WrongUse(f"{file} is no text in UTF-8.") from None


def import_hosts(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="- is standard input.")],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|ansible|lines", help="Else what it looks like."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("-k", "--key", metavar="FILE", help="Of those without their own.")
    ] = None,
    user: Annotated[str | None, typer.Option("-u", "--user", metavar="USER")] = None,
    port: Port = None,
    cluster: OfCluster = None,
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="K=V", help="Of all of them.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="clusters|labels", help="What groups of Ansible become."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
) -> int:
    """Bring in a list of hosts: CSV, an inventory of Ansible, or lines; 1 if any was refused.

    A line for each: added, labelled, same, or refused and why. It can be run again.
    """
    from commctl.commands.hosts.host import label_changes
    from commctl.inventories.importing import Import, grouped, read_entries

    use = session(ctx)
    if groups is not None and groups not in GROUPS:
        raise WrongUse(f"--groups is one of {', '.join(GROUPS)}.")
    if file == "-" and str(key) == "-":
        raise WrongUse("Standard input is the list: the key is in a file.")
    become = None if cluster and groups == "clusters" else groups
    found = [grouped(one, become) for one in read_entries(_text(file), form, file)]
    common = {k: v for k, v in label_changes(labels or ()).items() if v is not None}
    entries = [entry.completed(user, port, cluster, common) for entry in found]
    if groups is None and any(entry.groups for entry in entries):
        use.out.say("Groups are left out: --groups clusters or --groups labels.")
    return tell(use, Import(use, key, dry_run=dry_run).run(entries))
