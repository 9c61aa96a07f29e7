"""`commissaire token …`: API tokens are made, listed and revoked, also while the service runs.

They are in the database, or in the file that `--tokens` names.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from domain.roles import ROLES, Standing, standing
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
from runners.security.tokens import TIME_FORMAT, TokensFile, expiry
from runners.settings.reading import settings_of
from web.authentication.tokens import digest, new_token

token_commands = typer.Typer(rich_markup_mode=None, help="API tokens for programs.")

TokenName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")]
FileOfTokens = Annotated[str | None, typer.Option("--tokens", metavar="FILE", help="As of serve.")]


def _tokens_file(config: str | None, data: str | None, tokens: str | None) -> TokensFile | None:
    """The file that `serve` reads with the same options; None where there is none to be read."""
    settings = settings_of(config=config, data=data, tokens=tokens)
    return TokensFile(settings.tokens_file) if settings.tokens is not None else None


@token_commands.command("create")
def create_token(
    name: TokenName,
    role: Annotated[str, typer.Option(metavar="|".join(ROLES), help="What it may do.")],
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME|DAY", help="Such as 60s, 12h, 30d, 2w or 2027-01-31 (in UTC)."),
    ] = None,
    cluster_role: Annotated[
        list[str] | None,
        typer.Option(metavar="CLUSTER=ROLE", help="More in one cluster; may be repeated."),
    ] = None,
    tokens: FileOfTokens = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Make a token; it is written to standard output, this once."""
    now = datetime.now(UTC).replace(microsecond=0)
    end = expiry(expires, now) if expires is not None else None
    chosen, clusters = chosen_role(role), chosen_clusters(cluster_role)
    file = _tokens_file(config, data, tokens)
    if file is None:
        check_new_name("token", name)
        with accounts_of_database(config, data, database, writes=True) as accounts:
            token = _created(accounts, name, standing(chosen, clusters), end)
    else:
        if clusters:
            raise ChangeRefused(f"Tokens of {file.path} have one role everywhere.")
        token = file.create(name, chosen, now, end)
    until = f"until {end.strftime(TIME_FORMAT)}" if end else "until it is revoked"
    print(f"{name} may act as {chosen} {until}. The token is shown only now:", file=sys.stderr)
    print(token)


def _created(accounts: AccountsOfDatabase, name: str, may: Standing, end: datetime | None) -> str:
    from domain.commands import account_commands
    from domain.event import TIME_FORMAT as LOG_TIME_FORMAT

    token, expires = new_token(), end.strftime(LOG_TIME_FORMAT) if end else ""
    accounts.everybody()  # or a sentence that says why not
    accounts.change(
        lambda unit, register: account_commands.create_token(
            unit, register, name, may, digest(token.encode()), expires=expires
        )
    )
    return token


@token_commands.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
    tokens: FileOfTokens = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """List the tokens: name, role, and times; never a token itself."""
    rows = _rows(config, data, database, tokens)
    if as_json:
        print(json.dumps(rows))
        return
    ends = [f"{row['expires'] or 'never'}{' (expired)' if row['expired'] else ''}" for row in rows]
    show_table(
        ("name", "role", "owner", "created", "expires"),
        [
            (row["name"], row["role"], row["owner"], row["created"], end)
            for row, end in zip(rows, ends, strict=True)
        ],
    )


def _rows(
    config: str | None, data: str | None, database: str | None, tokens: str | None
) -> list[dict[str, object]]:
    """Every token as JSON has it."""
    settings = settings_of(config=config, data=data, tokens=tokens)
    if settings.tokens is None:
        with accounts_of_database(config, data, database) as accounts:
            return [
                _row(each.name, each.standing, each.owner, _time(each.made), _time(each.expires))
                for each in accounts.everybody().tokens
            ]
    must_be_kept_there(settings.tokens_file, settings)
    return [
        _row(name, Standing(known.role), "", known.created, known.expires)
        for name, known in sorted(TokensFile(settings.tokens_file).read().items())
    ]


def _row(
    name: str, may: Standing, owner: str, created: datetime | None, expires: datetime | None
) -> dict[str, object]:
    return {
        "name": name,
        "role": may.role,
        "clusters": dict(may.clusters),
        "owner": owner,
        "created": created.strftime(TIME_FORMAT) if created else None,
        "expires": expires.strftime(TIME_FORMAT) if expires else None,
        "expired": expires is not None and expires <= datetime.now(UTC),
    }


def _time(text: str) -> datetime | None:
    """A time of the log; None for ""."""
    from domain.event import TIME_FORMAT as LOG_TIME_FORMAT

    return datetime.strptime(text, LOG_TIME_FORMAT).replace(tzinfo=UTC) if text else None


@token_commands.command("revoke")
def revoke_token(
    name: TokenName,
    tokens: FileOfTokens = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Revoke a token, which is then refused at once."""
    file = _tokens_file(config, data, tokens)
    if file is None:
        from domain.commands import account_commands

        with accounts_of_database(config, data, database, writes=True) as accounts:
            accounts.everybody()  # or a sentence that says why not
            accounts.change(
                lambda unit, register: account_commands.revoke_token(unit, register, name)
            )
    else:
        file.revoke(name)
    print(f"The token {name} is worthless now.")
