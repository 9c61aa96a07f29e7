"""`commissaire replay` tells what the API told then, of a live database and of a backup."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from domain.log import recorder
from domain.log.reading import as_of
from domain.log.recorder import now
from projections import clusters, hosts
from projections.hosts import Filter
from projections.past.states import State, difference, fleet
from runners.cli.main import run
from runners.database.checkpointer import Checkpointer
from tests.projections.histories import carry_out, random_history
from tests.runners.cli.test_log_check import options
from tests.support.stores import Store, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]


@pytest.fixture
def lived(store: Store) -> Store:
    """A store with a history; the database is still open."""
    carry_out(store, random_history(3, 120))
    return store


class Command:
    """`commissaire replay` on a store."""

    def __init__(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        self._store = store
        self._capsys = capsys

    def text(self, *arguments: str, status: int = 0) -> str:
        """What it prints for people."""
        assert run(["replay", *arguments, *options(self._store)]) == status
        told = self._capsys.readouterr()
        assert told.err == ""
        return told.out

    def json(self, *arguments: str, status: int = 0) -> Any:
        """What it prints for machines."""
        return json.loads(self.text("--json", *arguments, status=status))

    def refused(self, *arguments: str) -> str:
        """What it says of a wrong use."""
        assert run(["replay", *arguments, *options(self._store)]) == 2
        told = self._capsys.readouterr()
        assert told.out == ""
        return told.err


@pytest.fixture
def command(lived: Store, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command on what has lived."""
    return Command(lived, capsys)


def head_of(store: Store) -> int:
    """How far its log goes."""
    with store.engine.snapshot() as tx:
        return recorder.head(tx).position


def test_without_a_point_it_tells_what_the_api_tells_now(lived: Store, command: Command) -> None:
    told = command.json()
    with lived.engine.snapshot() as tx:
        head = recorder.head(tx)
        listed = json.loads(hosts.hosts(tx, Filter()))
        names = json.loads(clusters.names(tx))
        members = {name: clusters.members(tx, name) for name in names}
    assert (told["position"], told["recorded_at"]) == head
    state = told["state"]
    assert [state[name] for name in state if name.startswith("host/")] == listed
    assert [name for name in state if name.startswith("cluster/")] == [
        f"cluster/{name}" for name in names
    ]
    for name, answer in members.items():
        assert answer is not None
        assert state[f"cluster/{name}"]["members"] == json.loads(answer.body)
    assert state["network/default"]["type"] == "flannel_etcd"


def test_a_time_and_its_position_are_the_same_point(lived: Store, command: Command) -> None:
    half = head_of(lived) // 2
    with lived.engine.snapshot() as tx:
        middle = as_of.at(tx, half)
        by_time = as_of.by(tx, middle.recorded_at).position
    told = command.json("--at", middle.recorded_at)
    assert told == command.json("--position", str(by_time))
    assert told["position"] == by_time


def test_one_subject_is_as_it_is_in_the_whole(lived: Store, command: Command) -> None:
    for position in range(0, head_of(lived), 17):
        state = command.json("--position", str(position))["state"]
        for name in ("cluster/web", "network/default"):
            one = command.json(name, "--position", str(position), status=int(name not in state))
            assert one["state"] == ({name: state[name]} if name in state else {})
        host = command.json(
            "host/10.0.0.1", "--position", str(position), status=int("host/10.0.0.1" not in state)
        )
        for record in host["state"].values():
            del record["source"]  # lists have none
            assert record == state["host/10.0.0.1"]


def test_a_difference_leads_from_one_state_to_the_other(lived: Store, command: Command) -> None:
    head = head_of(lived)
    for first, second in ((0, head), (head // 3, head // 2), (head, head)):
        told = command.json("--position", str(second), "--diff", str(first))
        assert told == command.json("--position", str(first), "--diff", str(second))
        before = fleet(lived.engine, told["from"]["position"], lambda so_far: None)
        after = fleet(lived.engine, told["to"]["position"], lambda so_far: None)
        assert applied(before, told["changes"]) == after
    assert command.text("--diff", str(head)).endswith("Nothing changed.\n")


def test_nothing_changed_of_what_was_there_at_neither_point_is_no_success(
    lived: Store, command: Command
) -> None:
    told = command.json("host/10.9.9.9", "--diff", "0", status=1)
    assert told["changes"] == []


def applied(state: State, changes: list[dict[str, Any]]) -> State:
    """A state once the changes were made."""
    found = dict(state)
    for change in changes:
        name, before, after = change["subject"], change["before"], change["after"]
        if after is None:
            assert found.pop(name) == before
        else:
            whole = found.get(name, {})
            assert before is None or before.items() <= whole.items()
            found[name] = whole | after
    return found


def test_people_see_tables(lived: Store, command: Command) -> None:
    shown = command.text()
    assert shown.startswith(f"Position {head_of(lived)}, recorded at ")
    assert "hosts.unavailable" in shown and "last_check" in shown
    assert "members" not in shown
    assert "Before the first event." in command.text("--at", "2015-12-17T15:48:18Z")
    assert "(came)" in command.text("--diff", "0")


def test_a_member_that_came_is_told_without_those_that_stayed() -> None:
    before: State = {"cluster/web": {"name": "web", "members": ["a", "b"]}}
    after: State = {"cluster/web": {"name": "web", "members": ["b", "c"]}}
    [change] = difference(before, after)
    assert change == ("cluster/web", {"members": ["a", "b"]}, {"members": ["b", "c"]})


def test_a_subject_that_was_not_there_is_status_1(command: Command) -> None:
    assert "There is nothing." in command.text("host/192.0.2.1", status=1)
    assert command.json("cluster/nobody", status=1)["state"] == {}


def test_wrong_use_is_status_2_and_one_line(lived: Store, command: Command) -> None:
    for arguments, says in (
        (("--at", "tomorrow"), "is no time: such as -2h, yesterday"),
        (("--at", "2999-01-01"), "in the future"),
        (("--position", str(head_of(lived) + 1)), "ends at position"),
        (("--position", "1", "--at", "2015-12-17"), "give one of them"),
        (("--diff", "-1"), "is no time: such as -2h, yesterday"),
        (("web",), "is no subject"),
        (("host/0x7f000001",), "is no host address"),
        (("cluster/",), "is no subject"),
    ):
        said = command.refused(*arguments)
        assert says in said
        assert said.count("\n") == 1


def test_a_backup_of_a_version_without_checkpoints_is_told_the_same(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("projections.past.checkpoints.INTERVAL_EVENTS", 32)
    carry_out(sqlite_store, random_history(3, 120))
    with sqlite_store.writer() as writer:
        Checkpointer(sqlite_store.engine, writer, now, pause_s=0).catch_up()
    command = Command(sqlite_store, capsys)
    told = command.json("--position", "100")
    kept = sqlite_store.path.parent / "kept"
    assert run(["backup", str(kept), *options(sqlite_store)]) == 0
    with closing(sqlite3.connect(kept / "commissaire.db")) as connection:
        connection.executescript("DROP TABLE checkpoints; DROP TABLE checkpoint_pieces")
    before = (kept / "commissaire.db").read_bytes()
    capsys.readouterr()
    assert run(["replay", "--json", "--position", "100", "--data", str(kept)]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert (kept / "commissaire.db").read_bytes() == before
