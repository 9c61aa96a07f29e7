"""`/me`, `/users` and `/user/{user}`: who may log in, and what they may do."""

from typing import Any

from domain.commands import account_commands
from domain.log.unit import Unit
from domain.names import account_name, quoted
from domain.refusal import invalid, not_found
from domain.roles import Standing, standing
from projections.accounts import queries
from projections.accounts.queries import KnownUser
from web.authentication.authentication import NO_PASSWORD, Account, Forbidden
from web.authentication.passwords import secret_of
from web.authentication.sessions import session_of
from web.http.problems import Problem
from web.http.replies import UNSTORED, Reply, created, deleted, digested, json_body
from web.http.requests import Request
from web.resources.accounts.account_book import AccountBook
from web.schemas import bodies
from web.schemas.account_bodies import PasswordBody, UserBody
from web.schemas.path_names import known_account

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Users:
    """The handlers of `/me`, `/users` and `/user/…`."""

    def __init__(self, book: AccountBook) -> None:
        self._book = book

    async def me(self, request: Request) -> Reply:
        """Who asks, and what they may do."""
        who, session = request.identity, session_of(request.scope)
        record = {
            "name": who.user,
            "role": who.role,
            "clusters": dict(who.clusters),
            "session": session.id if session else None,
            "csrf_token": session.csrf_token if session else None,
        }
        return Reply(json_body(record), 200, UNSTORED)

    async def index(self, request: Request) -> Reply:
        """All users."""
        accounts = self._book.accounts
        of_file = accounts.users_of_file
        records = {user.name: _record(user) for user in accounts.known.users}
        records |= {name: _of_file(name, account) for name, account in of_file.items()}
        return digested(request, json_body([records[name] for name in sorted(records)]))

    async def show(self, request: Request) -> Reply:
        """One user."""
        name = known_account(request, "user")
        account = self._book.accounts.users_of_file.get(name)
        if account is not None:
            return digested(request, json_body(_of_file(name, account)))
        found = next((u for u in self._book.accounts.known.users if u.name == name), None)
        return digested(request, json_body(_record(_existing(found, name))))

    async def put(self, request: Request) -> Reply:
        """Add a user, or change one; the same again is answered the same."""
        name = account_name(request.path_params["user"], "user")
        body = await bodies.read(request, UserBody)
        self._book.must_not_be_in_file(name)
        hashed = await self._hashed(name, body.password)
        register = self._book.register

        def put(unit: Unit) -> None:
            user = unit.user(name)
            role = body.role or (user.standing.role if user.exists else None)
            if role is None:
                raise invalid("A new user needs a role.", "role")
            clusters = dict(user.standing.clusters) if user.exists else {}
            may = standing(role, clusters if body.clusters is None else body.clusters)
            if user.exists:
                account_commands.change_user(unit, register, name, may, hashed)
            else:
                account_commands.add_user(unit, register, name, may, hashed or NO_PASSWORD)

        found = await self._book.writer.perform(
            request.act(), put, lambda tx, _: queries.user(tx, name)
        )
        return created(json_body(_record(_existing(found, name))))

    async def change_password(self, request: Request) -> Reply:
        """Change one's own password; other sessions of the user end."""
        name = known_account(request, "user")
        body = await bodies.read(request, PasswordBody)
        if request.identity.user != name:
            raise Problem(
                "forbidden",
                "Everybody changes their own password; an administrator sets that of others with"
                f" PUT /api/v0/user/{quoted(name)[1:-1]}.",
            )
        self._book.must_not_be_in_file(name)
        secret = secret_of(body.new, "new")
        try:
            await self._book.check_password(request.scope, name, body.old)
        except Forbidden:
            raise Forbidden("The old password is wrong.") from None
        hashed = await self._book.queue.new_hash(secret)
        session, register = session_of(request.scope), self._book.register
        found = await self._book.writer.perform(
            request.act(),
            lambda unit: account_commands.change_user(
                unit, register, name, None, hashed, session.id if session else ""
            ),
            lambda tx, _: queries.user(tx, name),
        )
        return Reply(json_body(_record(_existing(found, name))), 200, UNSTORED)

    async def remove(self, request: Request) -> Reply:
        """Remove a user; the tokens that they made and their sessions end."""
        name = known_account(request, "user")
        self._book.must_not_be_in_file(name)
        register = self._book.register
        await self._book.writer.perform(
            request.act(), lambda unit: account_commands.remove_user(unit, register, name)
        )
        return deleted()

    async def _hashed(self, name: str, password: str | None) -> bytes | None:
        """The hash of a new password; None for none, and for the one that the user has."""
        if password is None:
            return None
        known = self._book.accounts.users.get(name)
        before = known.hash if known is not None else NO_PASSWORD
        hashed = await self._book.queue.new_hash(secret_of(password, "password"), before)
        return None if hashed == before else hashed


def _existing(found: KnownUser | None, name: str) -> KnownUser:
    if found is None:
        raise not_found(f"There is no user {quoted(name)}.")
    return found


def _record(user: KnownUser) -> Record:
    return _told(user.name, user.standing, user.hash, user.added, "database")


def _of_file(name: str, account: Account) -> Record:
    return _told(name, Standing(account.role), account.hash, None, "file")


def _told(name: str, may: Standing, hashed: bytes, added: str | None, kept_in: str) -> Record:
    return {
        "name": name,
        "role": may.role,
        "clusters": dict(may.clusters),
        "has_password": hashed != NO_PASSWORD,
        "added": added,
        "kept_in": kept_in,
    }
