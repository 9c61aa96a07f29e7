"""What the handlers of accounts know and use: who there is, and where each account is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from domain.commands.account_commands import Register
from domain.log.writer import Writer
from domain.refusal import conflict
from domain.roles import Role
from projections.accounts.queries import Everybody
from web.authentication.authentication import Account, Forbidden, Identity, Scope
from web.authentication.basic import ACCOUNT_KEY, BasicAuthentication
from web.authentication.password_queue import PasswordQueue


class FileToken(NamedTuple):
    """A token that a file has; times as the API has them, "" for no end."""

    role: Role
    created: str
    expires: str


class KnownAccounts(Protocol):
    """All accounts, as of this request."""

    @property
    def users(self) -> Mapping[str, Account]:
        """All users by name."""
        ...

    @property
    def users_of_file(self) -> Mapping[str, Account]:
        """Those of a file, which come before those of the database."""
        ...

    @property
    def tokens_of_file(self) -> Mapping[str, FileToken]:
        """The tokens of a file, by name."""
        ...

    @property
    def known(self) -> Everybody:
        """The accounts of the database."""
        ...

    async def refresh(self) -> None:
        """Have it known as of now. Raises `Refusal` where that cannot be."""
        ...

    def password_mark(self, user: str) -> bytes:
        """What a session of a user keeps where no event says that the password changed."""
        ...


@dataclass(frozen=True)
class AccountBook:
    """What changes accounts, and what is known of them."""

    accounts: KnownAccounts
    register: Register
    writer: Writer
    queue: PasswordQueue
    basic: BasicAuthentication
    now: Callable[[], str]

    async def check_password(self, scope: Scope, user: str, password: str) -> Identity:
        """Who it is that says so in a body. Raises as `Authentication.authenticate` does."""
        await self.accounts.refresh()
        identity = await self.basic.check(scope, user, password)
        await self.accounts.refresh()
        account = self.accounts.users.get(user)
        if account is None or account != scope[ACCOUNT_KEY][1]:
            raise Forbidden  # it has changed meanwhile
        return identity

    def must_not_be_in_file(self, name: str) -> None:
        """Refuse a change of a user whom a file has."""
        if name in self.accounts.users_of_file:
            raise conflict(
                f"User {name} is kept in the file that --users names: change it there"
                f" (commissaire user add {name} --replace --users FILE)."
            )
