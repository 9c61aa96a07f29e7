"""Somebody approves the next wave of an operation."""

from typing import Protocol

from domain.aggregates.accounts.token import Token
from domain.aggregates.operation import Operation
from domain.aggregates.planning.schedule import Schedule
from domain.commands import operation_commands
from domain.commands.fleet_commands import Unit
from domain.refusal import conflict

OF_TOKEN = "token:"  # noqa: S105 - how the actor of what a token does begins


OF_SCHEDULE = "schedule/"
"""How the cause of an operation begins that a schedule began."""
OF_RUNNER = "runner:"
"""How the actor of what the service does by itself begins."""


class WithPeople(Unit, Protocol):
    """A unit that knows whose a token is, and who defined a schedule."""

    def token(self, name: str) -> Token:
        """The token of this name, existing or not."""
        ...

    def schedule(self, name: str) -> Schedule:
        """The schedule of this name, defined or not."""
        ...


def approve(unit: WithPeople, name: str, wave: int) -> None:
    """Say that a wave may begin, once the one before has ended."""
    operation = unit.operation(name)
    operation.must_exist()
    if operation.is_over or operation.is_cancelling:
        raise conflict(f"The operation is {operation.state}: no wave of it begins any more.")
    approver, begun_by = _person(unit, operation.act.actor), _begun_by(unit, operation)
    is_second = approver != "" and approver not in _people(unit, begun_by)
    operation.approve(wave, by_second=is_second, begun_by=begun_by)
    operation_commands.advance(unit, name)


def _begun_by(unit: WithPeople, operation: Operation) -> str:
    """The actor behind its beginning: of what a schedule began, who had defined that."""
    name = operation.because.removeprefix(OF_SCHEDULE)
    if operation.starter.startswith(OF_RUNNER) and name != operation.because:
        return unit.schedule(name).behind(operation.name)
    return operation.starter


def _people(unit: WithPeople, actor: str) -> set[str]:
    """Who may have been that actor: a token may have been revoked, and its name used again."""
    if not actor.startswith(OF_TOKEN):
        return {actor}
    return unit.token(actor.removeprefix(OF_TOKEN)).owners


def _person(unit: WithPeople, actor: str) -> str:
    """Whose act it is: a token is its owner's hand, and one that belongs to nobody is no person."""
    if not actor.startswith(OF_TOKEN):
        return actor
    return unit.token(actor.removeprefix(OF_TOKEN)).owner
