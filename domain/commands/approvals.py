"""Somebody approves the next wave of an operation."""

from typing import Protocol

from domain.aggregates.accounts.token import Token
from domain.commands import operation_commands
from domain.commands.fleet_commands import Unit
from domain.refusal import conflict

OF_TOKEN = "token:"  # noqa: S105 - how the actor of what a token does begins


class WithTokens(Unit, Protocol):
    """A unit that knows whose a token is."""

    def token(self, name: str) -> Token:
        """The token of this name, existing or not."""
        ...


def approve(unit: WithTokens, name: str, wave: int) -> None:
    """Say that a wave may begin, once the one before has ended."""
    operation = unit.operation(name)
    operation.must_exist()
    if operation.is_over or operation.is_cancelling:
        raise conflict(f"The operation is {operation.state}: no wave of it begins any more.")
    approver, starter = _person(unit, operation.act.actor), _person(unit, operation.starter)
    operation.approve(wave, by_second=approver not in ("", starter))
    operation_commands.advance(unit, name)


def _person(unit: WithTokens, actor: str) -> str:
    """Whose act it is: a token is its owner's hand, and one that belongs to nobody is no person."""
    if not actor.startswith(OF_TOKEN):
        return actor
    return unit.token(actor.removeprefix(OF_TOKEN)).owner
