"""Given some events, when a command is given, then these events follow, or it is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

import pytest

from domain.aggregate import Aggregate
from domain.event import Act, Event
from domain.refusal import Kind, Refusal

ACT = Act("alice", "request-1", "2026-01-02T03:04:05.000006")


A = TypeVar("A", bound=Aggregate[Any])


class Decided(Generic[A]):
    """A command that is about to be carried out."""

    def __init__(self, subject: A, carry_out: Callable[[], object]) -> None:
        self.subject = subject
        self._carry_out = carry_out

    def then(self, *expected: Event) -> A:
        """It makes exactly these events, stamped; gives the subject for a closer look."""
        self._carry_out()
        made = self.subject.pending
        assert made == list(expected)
        assert [event.originator_version for event in made] == list(
            range(self.subject.version - len(made) + 1, self.subject.version + 1)
        )
        assert all((event.actor, event.correlation, event.at, event.note) == ACT for event in made)
        return self.subject

    def refuses(self, kind: Kind, key: str | None = None) -> Refusal:
        """It is refused for this, and nothing happened."""
        with pytest.raises(Refusal) as refused:
            self._carry_out()
        assert (refused.value.kind, refused.value.key) == (kind, key)
        assert self.subject.pending == []
        return refused.value


class Given(Generic[A]):
    """A subject with a history."""

    def __init__(self, subject: A) -> None:
        self.subject = subject

    def when(self, command: Callable[..., object], *args: Any) -> Decided[A]:
        """Ask the subject for something: `when(Host.fail, "facts", "no sh")`."""
        self.subject.act, self.subject.pending = ACT, []
        return Decided(self.subject, lambda: command(self.subject, *args))


def given(kind: type[A], name: str, *events: Event) -> Given[A]:
    """A subject to which this happened."""
    subject = kind(name)
    subject.act = ACT
    for event in events:
        subject.emit(replace(event))
    return Given(subject)
