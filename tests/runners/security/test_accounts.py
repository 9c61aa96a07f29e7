"""The accounts as every process knows them: as of now, with each question, on both engines."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.commands import account_commands
from domain.event import Act
from domain.log.engine import Stopped
from domain.log.writer import Writer
from domain.refusal import Refusal
from domain.roles import Standing, standing
from projections.accounts.register import AccountRegister
from projections.reads import Reads, reads
from projections.rebuilding.live_tables import BeingBuilt
from runners.security.accounts import Accounts
from runners.security.users import UsersFile
from tests.support.stores import ACT, Store, sqlite_store, store
from web.authentication.authentication import Identity

__all__ = ["sqlite_store", "store"]

REGISTER = AccountRegister()
HASH = b"$2b$04$one"
OPERATOR, VIEWER = Standing("operator"), Standing("viewer")


class Process:
    """One process of a service: its writer, and the accounts that it goes by."""

    def __init__(self, writer: Writer, accounts: Accounts, asked: "Counted") -> None:
        self.writer = writer
        self.accounts = accounts
        self.asked = asked

    async def do(self, command: Any, *args: Any, act: Act = ACT, **more: Any) -> None:
        await self.writer.perform(act, lambda unit: command(unit, REGISTER, *args, **more))


class Counted:
    """Reads that are counted."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self.count = 0
        self.point, self.scan, self.close = reads.point, reads.scan, reads.close

    async def fresh(self, query: Any, *args: Any) -> Any:
        self.count += 1
        return await self._reads.fresh(query, *args)


@pytest.fixture
async def both(store: Store) -> AsyncIterator[list[Process]]:
    """Two processes on one database."""
    with store.writer() as one, store.writer(store.another_engine()) as two:
        processes = []
        for writer in (one, two):
            opened = reads(store.another_engine())
            counted = Counted(opened)
            seen: Any = opened if store.engine.name == "sqlite" else counted
            accounts = Accounts(seen, lambda: None, None, None)
            processes.append(Process(writer, accounts, counted))
        yield processes
        for process in processes:
            process.asked.close()


async def test_what_one_process_changed_the_other_knows_with_its_next_question(
    both: list[Process],
) -> None:
    one, two = both
    for number in range(20):
        name = f"user-{number}"
        await one.do(account_commands.add_user, name, VIEWER, HASH)
        await two.accounts.refresh()
        assert two.accounts.users[name].role == "viewer"
        await one.do(account_commands.change_user, name, standing("viewer", {"web": "operator"}))
        await two.accounts.refresh()
        assert two.accounts.users[name].clusters == (("web", "operator"),)
        await one.do(account_commands.remove_user, name)
        await two.accounts.refresh()
        assert two.accounts.users == {}


async def test_while_nothing_changes_the_same_users_are_given(both: list[Process]) -> None:
    one, two = both
    await one.do(account_commands.add_user, "ada", VIEWER, HASH)
    await two.accounts.refresh()
    users = two.accounts.users
    await one.writer.perform(ACT, lambda unit: unit.cluster("web").create("default", ""))
    await two.accounts.refresh()
    assert two.accounts.users is users


async def test_questions_at_one_time_share_the_next_answer(both: list[Process]) -> None:
    two = both[1]
    await asyncio.gather(*(two.accounts.refresh() for _ in range(100)))
    assert two.asked.count <= 2


async def test_a_token_is_worth_no_more_than_its_owner_is_now(both: list[Process]) -> None:
    one, two = both
    await one.do(account_commands.add_user, "ada", standing("viewer", {"web": "operator"}), HASH)
    await one.do(account_commands.create_token, "hers", OPERATOR, b"1" * 32, owner="ada")
    await one.do(account_commands.create_token, "nobodys", OPERATOR, b"2" * 32)
    await one.do(account_commands.create_token, "strangers", OPERATOR, b"3" * 32, owner="eve")
    await two.accounts.refresh()
    hers, nobodys = two.accounts.find(b"1" * 32), two.accounts.find(b"2" * 32)
    assert hers is not None
    assert nobodys is not None
    assert hers.identity == Identity("token:hers", "viewer", (("web", "operator"),))
    assert nobodys.identity == Identity("token:nobodys", "operator")
    assert two.accounts.find(b"3" * 32) is None
    await one.do(account_commands.change_user, "ada", VIEWER)
    await two.accounts.refresh()
    less = two.accounts.find(b"1" * 32)
    assert less is not None
    assert less.identity == Identity("token:hers", "viewer")


async def test_accounts_of_a_named_file_come_before_those_of_the_database(
    sqlite_store: Store,
) -> None:
    file = UsersFile(sqlite_store.path.with_name("users.json"))
    file.add("ada", b"$2b$04$" + b"x" * 53, "admin")
    with sqlite_store.writer() as writer:
        opened = reads(sqlite_store.engine)
        accounts = Accounts(opened, lambda: None, file, None)
        process = Process(writer, accounts, Counted(opened))
        await process.do(account_commands.add_user, "ada", VIEWER, HASH)
        await process.do(account_commands.add_user, "bob", VIEWER, HASH)
        assert {name: each.role for name, each in accounts.users.items()} == {
            "ada": "admin",
            "bob": "viewer",
        }
        file.remove("ada")
        await asyncio.sleep(0)
        assert accounts.users["ada"].role == "viewer"
        opened.close()


async def test_nobody_is_let_in_while_the_tables_of_accounts_are_being_made(
    sqlite_store: Store,
) -> None:
    stopped: list[Stopped | None] = [BeingBuilt("It is being made.")]
    opened = reads(sqlite_store.engine)
    accounts = Accounts(opened, lambda: stopped[0], None, None)
    assert not accounts.is_current()
    with pytest.raises(Refusal, match="being made"):
        await accounts.refresh()
    stopped[0] = None
    assert accounts.is_current()
    opened.close()
