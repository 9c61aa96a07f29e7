"""`commissaire import-2017`: the way over from a service of 2017, as often as wanted."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli.options import ConfigFile, DataDirectory
from runners.cli.output import show_table

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from runners.cli.import_2017.carrying_over import Became
    from runners.cli.import_2017.fleet import Fleet
    from runners.cli.import_2017.progress import Progress
    from runners.cli.import_2017.remote import Remote
    from runners.cli.import_2017.signing_in import Target

PASSWORD = "COMMISSAIRE_2017_PASSWORD"  # noqa: S105 - the variable's name
TIMEOUT_S = 30.0
DIFFERS = 1
NOTE_CHARACTERS_MAX = 200

Ca = typer.Option(metavar="FILE", help="PEM file of whom to trust, in place of the system's.")


def import_2017(
    url: Annotated[str, typer.Argument(metavar="URL", help="The old service.")],
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who may read there, keys of hosts too.")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Its first line is the password; - is standard input. Else {PASSWORD} has it, or"
            " it is asked for.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: else it is only shown.")] = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The new service; else that of --data on this machine."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --to: an administrator's token.")
    ] = None,
    ca: Annotated[Path | None, Ca] = None,
    to_ca: Annotated[Path | None, Ca] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For each answer, to its end.")
    ] = TIMEOUT_S,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> int:
    """Carry clusters, networks, container managers and hosts over from a service of 2017.

    It is read over its API, and what would be done is shown; with --yes it is done, over the API of
    the new service, which runs meanwhile. It may be done again: what is the same is no news, and
    nothing is ever removed or overwritten. At the end stands what differs; then, and where
    something could not be read, the exit status is 1.
    """
    from runners.cli.import_2017 import signing_in
    from runners.cli.import_2017.remote import root_of

    place, here = root_of(url), signing_in.target(to, token_file, to_ca, (data, config))
    for one in (place, here.url):
        if signing_in.can_be_overheard(one):
            print(f"Secrets go unencrypted between here and {one}.", file=sys.stderr)
    # A password is asked for once all else is right.
    there = signing_in.source(place, user, (password_file, os.environ.get(PASSWORD)), ca)
    return asyncio.run(_between(there, here, timeout, yes=yes))


async def _between(there: "Target", here: "Target", timeout_s: float, *, yes: bool) -> int:
    from runners.cli.import_2017.remote import Remote

    note = {"commissaire-note": f"import-2017 from {ascii(there.url)[1:-1]}"[:NOTE_CHARACTERS_MAX]}
    async with (
        Remote(*there, timeout_s=timeout_s) as old,
        Remote(*here, timeout_s=timeout_s, headers=note) as new,
    ):
        return await _import(old, new, yes=yes)


async def _import(old: "Remote", new: "Remote", *, yes: bool) -> int:
    from runners.cli.import_2017.comparing import planned
    from runners.cli.import_2017.fleet import read_fleet
    from runners.cli.import_2017.progress import Progress

    progress = Progress()
    # All of it is read before anything is changed.
    there = await read_fleet(old, progress, keys=True)
    here = await read_fleet(new, progress, keys=False, only=there.hosts)
    if not yes:
        rows = planned(there, here)
        show_table(("what", "would", "why"), rows)
        print(f"{_counted(row.would for row in rows)}. Nothing was changed: --yes does it.")
        return DIFFERS if there.unread else 0
    return await _carry_over(there, here, new, progress)


async def _carry_over(there: "Fleet", here: "Fleet", new: "Remote", progress: "Progress") -> int:
    from runners.cli.import_2017.carrying_over import carry_over
    from runners.cli.import_2017.comparing import differences, planned
    from runners.cli.import_2017.fleet import read_fleet

    wanted = len(planned(there, here))

    def became(each: "Became") -> None:
        done.append(each)
        progress.tell(len(done), wanted, f"carried over to {new.url}")

    done: list[Became] = []
    try:
        await carry_over(there, here, new, became)
    finally:
        # Also where the new service stopped answering in the midst of it.
        show_table(("what", "became", "why"), done)
        print(f"{_counted(each.became for each in done)}.")
    now = await read_fleet(new, progress, keys=False, only=there.hosts)
    differing = list(differences(there, now))
    refused = [each for each in done if each.became in ("refused", "left out")]
    if not differing and not refused:
        print("Nothing differs.")
        return 0
    print("What differs:")
    why = {each.subject: each.why for each in refused}
    known = {each.subject for each in differing}
    rows = [(*each, why.get(each.subject, "")) for each in differing]
    rows += [(subject, "", "", "", told) for subject, told in why.items() if subject not in known]
    show_table(("what", "key", "there", "here", "why"), rows)
    return DIFFERS


def _counted(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "Nothing is there"
