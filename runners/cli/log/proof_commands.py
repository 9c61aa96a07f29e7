"""`commissaire log checkpoint`, `log prove` and `log key`: proofs from the database itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from runners.cli.accounts import carried_out
from runners.cli.log.commands import FOUND_SOMETHING
from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import progress, show_json
from runners.database.existing import DatabaseRefused, existing_database
from runners.settings.reading import settings_of
from runners.settings.settings import Settings

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from collections.abc import Callable

    from domain.log.engine import Engine
    from domain.log.transaction import Transaction
    from domain.log.tree.note import PublicKey
    from runners.proof.notary import Notary

T = TypeVar("T")


def _notary(settings: Settings) -> "Notary":
    from runners.proof.notary import Notary
    from runners.security.vault import Vault, WrongMasterKey, master_key_given

    try:
        return Notary(Vault(master_key_given(settings.master_key, settings.vault_key_file)))
    except FileNotFoundError as missing:
        raise DatabaseRefused(
            f"The key of the log is in the vault, and there is no master key {missing.filename}."
        ) from None
    except WrongMasterKey as wrong:
        raise DatabaseRefused(f"{wrong}.") from None


def _asked(engine: "Engine", query: "Callable[[Transaction], T]") -> "T":
    from domain.refusal import Refusal
    from runners.security.vault import WrongMasterKey

    with engine.snapshot() as tx:
        must_have_a_tree(tx)
        try:
            return query(tx)
        except (Refusal, WrongMasterKey) as refused:
            raise DatabaseRefused(str(refused)) from None


def must_have_a_tree(tx: "Transaction") -> None:
    """Refuse a database that no version with trees has served yet."""
    from domain.log.tree import kept

    if not tx.execute(kept.EXISTS[tx.engine]).fetchone()[0]:
        raise DatabaseRefused("The log has no tree yet: start the service on it first.")


def checkpoint(
    data: DataDirectory = None, database: DatabaseUrl = None, config: ConfigFile = None
) -> None:
    """Say what the Merkle tree of the log is now, signed: keep it elsewhere.

    Whoever has it can show later that nothing before it was altered, dropped or put in between:
    commissaire log verify. It is a signed note of C2SP (tlog-checkpoint), which other tools read.
    """
    notary = _notary(settings_of(config=config, data=data, database=database))
    with existing_database(config, data, database) as engine:
        print(_asked(engine, lambda tx: notary.sign(tx).note), end="")


def prove(
    position: Annotated[
        int | None, typer.Argument(metavar="[POSITION]", min=1, help="Of the event.")
    ] = None,
    older: Annotated[
        int | None,
        typer.Option("--from", metavar="SIZE", min=0, help="Or: the size of an older checkpoint."),
    ] = None,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="SIZE", min=0, help="The size of the tree; without it, now."),
    ] = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Prove that the event at a position is in the log, or that the log continues what it was.

    As JSON, with the hashes of the path as RFC 6962 has it; a checkpoint says whose root it is.
    """
    from web.events import proofs

    if (position is None) == (older is None):
        raise typer.BadParameter("Say either a position, or --from.")
    with existing_database(config, data, database) as engine:
        if position is not None:
            show_json(_asked(engine, lambda tx: proofs.included(tx, position, to)))
        elif older is not None:
            show_json(_asked(engine, lambda tx: proofs.continued(tx, older, to)))


def verify(
    export: Annotated[
        list[Path], typer.Argument(metavar="EXPORT...", help="What log export --rows wrote.")
    ],
    checkpoint: Annotated[
        list[Path],
        typer.Option("--checkpoint", metavar="FILE", help="What was kept; may be repeated."),
    ],
    key: Annotated[
        list[str],
        typer.Option("--key", metavar="PUB", help="What log key says, or a file with it."),
    ],
) -> int:
    """Verify that an export is what checkpoints say, event by event, to the byte.

    The export begins with the first event; several files are one after the other. Neither a
    database nor a network is needed. What the log said of itself is verified as well, and a
    rotation of its key is followed. Names the first position that is wrong; the exit status is
    then 1.
    """
    from domain.log.tree.note import WrongNote
    from runners.cli.log.verification import Lines, Verification, Wrong, checkpoints_of

    try:
        given = {_public_key(each) for each in key}
        verification = Verification(Lines(export), checkpoints_of(checkpoint), given)
        with progress("verifying the export", None) as advance:
            found = verification.run(advance)
    except (Wrong, WrongNote) as wrong:
        print(wrong)
        return FOUND_SOMETHING
    print(
        f"The export is as it was up to its event number {found.covered}; checkpoints that say"
        f" so: {found.checkpoints}. It has {found.events} events, up to position {found.position}."
    )
    return 0


def _public_key(text: str) -> "PublicKey":
    from domain.log.tree.note import WrongNote, public_key

    path = Path(text)
    try:
        return public_key(path.read_text() if path.is_file() else text)
    except (WrongNote, UnicodeDecodeError) as wrong:
        raise typer.BadParameter(f"--key {text}: {wrong}.") from None


def key(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Sign with another key from now on.")
    ] = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Say with which key the checkpoints of the log are signed: its public half, on one line.

    It is made at the first start, and kept in the vault. A rotation is an event that both keys
    sign, so that log verify goes from one to the other; it works beside the running service.
    """
    settings = settings_of(config=config, data=data, database=database)
    notary = _notary(settings)
    with existing_database(config, data, database, writes=rotate) as engine:
        if rotate:
            print(carried_out(engine, settings, notary.rotate))
        else:
            print(_asked(engine, lambda tx: notary.key(tx).public))
