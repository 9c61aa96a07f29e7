"""`/tokens` and `/token/{token}`: what programs log in with."""

from datetime import UTC, datetime
from typing import Any

from domain import spans
from domain.commands import account_commands
from domain.event import TIME_FORMAT
from domain.names import account_name, quoted
from domain.refusal import Refusal, conflict, invalid, not_found
from domain.roles import Standing, standing
from projections.accounts import queries
from projections.accounts.queries import KnownToken
from web.authentication.authentication import Identity
from web.authentication.tokens import digest, new_token
from web.http.problems import Problem
from web.http.query_string import moment
from web.http.replies import Reply, created, deleted, digested, json_body
from web.http.requests import Request
from web.resources.accounts.account_book import AccountBook, FileToken
from web.schemas import bodies
from web.schemas.account_bodies import TokenBody
from web.schemas.path_names import known_account

LOCAL = "local:"
"""What whoever may read the service's directory is called: they could make tokens anyway."""

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Tokens:
    """The handlers of `/tokens` and `/token/…`."""

    def __init__(self, book: AccountBook) -> None:
        self._book = book

    async def index(self, request: Request) -> Reply:
        """One's own tokens; for administrators all."""
        who, accounts = request.identity, self._book.accounts
        found = {t.name: _record(t) for t in accounts.known.tokens if _may_see(who, t)}
        if who.role == "admin":
            found |= {name: _of_file(name, t) for name, t in accounts.tokens_of_file.items()}
        return digested(request, json_body([found[name] for name in sorted(found)]))

    async def show(self, request: Request) -> Reply:
        """One token; never its text."""
        name, who = known_account(request, "token"), request.identity
        in_file = self._book.accounts.tokens_of_file.get(name)
        if in_file is not None and who.role == "admin":
            return digested(request, json_body(_of_file(name, in_file)))
        return digested(request, json_body(_record(self._known(name, who))))

    async def create(self, request: Request) -> Reply:
        """Make a token, which is shown this once."""
        name = account_name(request.path_params["token"], "token")
        body = await bodies.read(request, TokenBody)
        who = request.identity
        may = standing(body.role, body.clusters)
        owner = self._owner(who)
        if not who.standing.covers(may):
            raise Problem("forbidden", "A token may do no more than whoever makes it.")
        self._must_not_be_in_file(name)
        expires = end_of(body.expires, self._book.now())
        token, register = new_token(), self._book.register
        kept = digest(token.encode())
        found = await self._book.writer.perform(
            request.act(),
            lambda unit: account_commands.create_token(
                unit, register, name, may, kept, owner=owner, expires=expires
            ),
            lambda tx, _: queries.token(tx, name),
        )
        return created(json_body(_record(found) | {"token": token}))

    async def revoke(self, request: Request) -> Reply:
        """Make a token worthless."""
        name = known_account(request, "token")
        if request.identity.role == "admin":
            self._must_not_be_in_file(name)
        self._known(name, request.identity)
        register = self._book.register
        await self._book.writer.perform(
            request.act(), lambda unit: account_commands.revoke_token(unit, register, name)
        )
        return deleted()

    def _known(self, name: str, who: Identity) -> KnownToken:
        for token in self._book.accounts.known.tokens:
            if token.name == name and _may_see(who, token):
                return token
        raise not_found(f"There is no token {quoted(name)}, or it is somebody else's.")

    def _owner(self, who: Identity) -> str:
        """Whom a new token belongs to. Refuses tokens, and whoever is no user here."""
        if who.user in self._book.accounts.users:
            return who.user
        if who.user.startswith(LOCAL):
            return ""
        raise Problem("forbidden", "Tokens are made by users: log in as one.")

    def _must_not_be_in_file(self, name: str) -> None:
        if name in self._book.accounts.tokens_of_file:
            raise conflict(
                f"Token {name} is kept in the file that --tokens names: revoke it there"
                f" (commissaire token revoke {name} --tokens FILE)."
            )


def end_of(text: str, now: str) -> str:
    """When a token ends, as the log has it: `30d` from now, or a time. Refuses what has passed."""
    begun = datetime.strptime(now, TIME_FORMAT).replace(tzinfo=UTC)
    after = spans.after(text, begun)
    try:
        end = after.strftime(TIME_FORMAT) if after is not None else moment(text, "expires")
    except Refusal as refusal:
        sentence = f"{refusal.sentence.rstrip('.')}, or how long from now: 60s, 12h, 30d, 2w."
        raise invalid(sentence, "expires") from None
    if end <= now:
        raise invalid("expires has passed already.", "expires")
    return end


def _may_see(who: Identity, token: KnownToken) -> bool:
    # A token knows of itself: `commctl logout` revokes one by nothing else.
    is_theirs = who.user in (token.owner, f"token:{token.name}")
    return who.role == "admin" or (is_theirs and who.user != "")


def _record(token: KnownToken) -> Record:
    return _told(token.name, token.standing, token.owner, token.made, token.expires, "database")


def _of_file(name: str, token: FileToken) -> Record:
    return _told(name, Standing(token.role), "", token.created, token.expires, "file")


def _told(
    name: str, may: Standing, owner: str, created_at: str, expires: str, kept_in: str
) -> Record:
    return {
        "name": name,
        "role": may.role,
        "clusters": dict(may.clusters),
        "owner": owner or None,
        "created": created_at,
        "expires": expires or None,
        "kept_in": kept_in,
    }
