"""Commands about accounts, on both engines: what changes together, and who is never locked out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from domain.commands import account_commands
from domain.commands.account_commands import KeptToken, KeptUser
from domain.log.recorder import entries
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from domain.roles import Standing, standing
from projections.accounts import queries
from projections.accounts.queries import Everybody
from projections.accounts.register import AccountRegister
from tests.support.stores import ACT, Store, done, store

__all__ = ["store"]

REGISTER = AccountRegister()
ADMIN, VIEWER = Standing("admin"), Standing("viewer")
HASH, OTHER_HASH = b"$2b$04$one", b"$2b$04$two"
ENDS = "2026-01-02T15:04:05.000006"
PAST = "2026-01-01T00:00:00.000000"
LATER = "2027-01-02T15:04:05.000006"


class Door:
    """Carries commands out on one store."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self.store = store
        self._writer = writer

    def do(self, command: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Carry it out; raises what it raises."""

        def with_register(unit: Unit) -> Any:
            return command(unit, REGISTER, *args, **more)

        return done(self._writer, with_register)

    def everybody(self) -> Everybody:
        with self.store.engine.snapshot() as tx:
            return queries.everybody(tx, "") or queries.NOBODY

    def subjects_of_hashes(self) -> list[str]:
        with self.store.engine.snapshot() as tx:
            found = tx.execute("SELECT subject FROM account_hashes ORDER BY subject")
            return [row[0] for row in found.fetchall()]


@pytest.fixture
def door(store: Store) -> Iterator[Door]:
    with store.writer() as writer:
        yield Door(store, writer)
    store.must_be_consistent()


def test_a_users_hash_is_beside_the_log_and_in_no_event(door: Door) -> None:
    door.do(account_commands.add_user, "ada", standing("viewer", {"web": "operator"}), HASH)
    door.do(account_commands.change_user, "ada", hashed=OTHER_HASH)
    (ada,) = door.everybody().users
    assert (ada.standing.role_in("web"), ada.standing.role_in("db")) == ("operator", "viewer")
    assert ada.hash == OTHER_HASH
    with door.store.engine.snapshot() as tx:
        for entry in entries(tx, 0, 100):
            assert b"$2b$" not in bytes(entry.stored.state)


def test_a_repeated_role_is_no_news_and_a_name_that_is_taken_is_refused(door: Door) -> None:
    door.do(account_commands.add_user, "ada", VIEWER, HASH)
    door.do(account_commands.change_user, "ada", VIEWER)
    assert door.store.topics() == ["user.added"]
    with pytest.raises(Refusal, match="There is a user ada already"):
        door.do(account_commands.add_user, "ada", ADMIN, HASH)
    with pytest.raises(Refusal, match="There is no user bob"):
        door.do(account_commands.remove_user, "bob")


def test_what_a_user_made_or_opened_ends_with_the_user(door: Door) -> None:
    door.do(account_commands.add_user, "ada", VIEWER, HASH)
    door.do(account_commands.create_token, "hers", VIEWER, b"1" * 32, owner="ada", expires=LATER)
    door.do(account_commands.create_token, "nobodys", VIEWER, b"2" * 32)
    door.do(account_commands.start_session, "s-1", "ada", b"3" * 32, ends=ENDS)
    door.do(account_commands.remove_user, "ada")
    left = door.everybody()
    assert (left.users, left.sessions) == ((), ())
    assert [token.name for token in left.tokens] == ["nobodys"]
    assert door.subjects_of_hashes() == ["token/nobodys"]
    assert door.store.topics()[-3:] == ["user.removed", "token.revoked", "session.ended"]


def test_a_new_user_is_not_given_what_somebody_of_that_name_had_in_a_file(door: Door) -> None:
    door.do(account_commands.create_token, "old", VIEWER, b"1" * 32, owner="ada", expires=LATER)
    door.do(account_commands.start_session, "s-1", "ada", b"2" * 32, ends=ENDS)
    door.do(account_commands.add_user, "ada", VIEWER, HASH)
    assert (door.everybody().tokens, door.everybody().sessions) == ((), ())
    door.do(account_commands.create_token, "new", VIEWER, b"3" * 32, owner="ada", expires=LATER)
    with pytest.raises(Refusal, match="There is a user ada already"):
        door.do(account_commands.add_user, "ada", VIEWER, HASH)
    assert [token.name for token in door.everybody().tokens] == ["new"]


def test_another_password_ends_the_sessions_but_the_one_that_asked(door: Door) -> None:
    door.do(account_commands.add_user, "ada", VIEWER, HASH)
    for name in ("s-1", "s-2"):
        door.do(account_commands.start_session, name, "ada", name.encode(), ends=ENDS)
    door.do(account_commands.change_user, "ada", hashed=OTHER_HASH, but_session="s-2")
    assert [session.id for session in door.everybody().sessions] == ["s-2"]


def test_sessions_that_have_expired_are_said_to_have_ended_at_the_next_log_in(door: Door) -> None:
    door.do(account_commands.start_session, "old", "ada", b"1", ends=PAST)
    door.do(account_commands.start_session, "new", "ada", b"2", ends=ENDS)
    assert [session.id for session in door.everybody().sessions] == ["new"]
    assert door.subjects_of_hashes() == ["session/new"]
    door.do(account_commands.start_session, "idle", "ada", b"3", ends=ENDS, idle_since=ACT.at)
    assert [session.id for session in door.everybody().sessions] == ["idle"]


@pytest.mark.parametrize(
    "lose",
    [
        lambda door: door.do(account_commands.remove_user, "ada"),
        lambda door: door.do(account_commands.change_user, "ada", VIEWER),
        lambda door: door.do(account_commands.change_user, "ada", hashed=b""),
    ],
    ids=["removed", "demoted", "without a password"],
)
def test_the_last_administrator_with_a_password_stays(
    door: Door, lose: Callable[[Door], None]
) -> None:
    door.do(account_commands.add_user, "ada", ADMIN, HASH)
    door.do(account_commands.add_user, "machine", ADMIN)  # with a certificate only
    with pytest.raises(Refusal, match="ada is the last administrator"):
        lose(door)
    assert [user.name for user in door.everybody().users] == ["ada", "machine"]
    assert door.subjects_of_hashes() == ["user/ada"]
    door.do(account_commands.add_user, "bob", ADMIN, HASH)
    lose(door)
    with pytest.raises(Refusal, match="bob is the last administrator"):
        door.do(account_commands.remove_user, "bob")


def test_what_is_taken_over_again_is_known_already_and_who_was_removed_stays_out(
    door: Door,
) -> None:
    users = {"ada": KeptUser(ADMIN, HASH), "bob": KeptUser(VIEWER, HASH)}
    tokens = {"ci": KeptToken(VIEWER, b"1" * 32, "2020-01-01T00:00:00.000000", "")}
    assert door.do(account_commands.take_over, users, tokens) == []
    assert door.everybody().tokens[0].made == "2020-01-01T00:00:00.000000"
    door.do(account_commands.remove_user, "bob")
    door.do(account_commands.revoke_token, "ci")
    known = door.do(account_commands.take_over, users, tokens)
    assert known == ["user/ada", "user/bob", "token/ci"]
    assert [user.name for user in door.everybody().users] == ["ada"]
    assert door.everybody().tokens == ()


def test_a_first_administrator_is_made_where_there_is_nobody_only(door: Door) -> None:
    assert door.do(account_commands.add_first_admin, name="admin", hashed=HASH)
    assert not door.do(account_commands.add_first_admin, name="root", hashed=HASH)
    assert [user.name for user in door.everybody().users] == ["admin"]
