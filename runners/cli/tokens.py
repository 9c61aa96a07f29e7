"""`commissaire token …`: API tokens are made, listed and revoked, also while the service runs."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from runners.cli.options import ConfigFile, DataDirectory, chosen_role, must_be_kept_there
from runners.security.tokens import TIME_FORMAT, TokensFile, expiry
from runners.settings.reading import settings_of
from web.authentication.authentication import ROLES

token_commands = typer.Typer(rich_markup_mode=None, help="API tokens for programs.")

TokenName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")]
FileOfTokens = Annotated[str | None, typer.Option("--tokens", metavar="FILE", help="As of serve.")]


def _tokens_file(config: str | None, data: str | None, tokens: str | None) -> TokensFile:
    return TokensFile(settings_of(config=config, data=data, tokens=tokens).tokens_file)


@token_commands.command("create")
def create_token(
    name: TokenName,
    role: Annotated[str, typer.Option(metavar="|".join(ROLES), help="What it may do.")],
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME|DAY", help="Such as 30d, 12h, 2w or 2027-01-31 (in UTC)."),
    ] = None,
    tokens: FileOfTokens = None,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Make a token; it is written to standard output, this once."""
    now = datetime.now(UTC).replace(microsecond=0)
    end = expiry(expires, now) if expires is not None else None
    chosen = chosen_role(role)
    token = _tokens_file(config, data, tokens).create(name, chosen, now, end)
    until = f"until {end.strftime(TIME_FORMAT)}" if end else "until it is revoked"
    print(f"{name} may act as {chosen} {until}. The token is shown only now:", file=sys.stderr)
    print(token)


@token_commands.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
    tokens: FileOfTokens = None,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """List the tokens: name, role, and times; never a token itself."""
    settings = settings_of(config=config, data=data, tokens=tokens)
    must_be_kept_there(settings.tokens_file, settings)
    now = datetime.now(UTC)
    rows = [
        {
            "name": name,
            "role": known.role,
            "created": known.created.strftime(TIME_FORMAT),
            "expires": known.expires.strftime(TIME_FORMAT) if known.expires else None,
            "expired": known.is_expired(now),
        }
        for name, known in sorted(TokensFile(settings.tokens_file).read().items())
    ]
    if as_json:
        print(json.dumps(rows))
        return
    # Only here: it takes longer to import than the command to run.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "role", "created", "expires")
    for row in rows:
        end = f"{row['expires'] or 'never'}{' (expired)' if row['expired'] else ''}"
        table.add_row(Text(str(row["name"])), str(row["role"]), str(row["created"]), end)
    Console().print(table)


@token_commands.command("revoke")
def revoke_token(
    name: TokenName,
    tokens: FileOfTokens = None,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Revoke a token, which is then refused at once."""
    _tokens_file(config, data, tokens).revoke(name)
    print(f"The token {name} is worthless now.")
