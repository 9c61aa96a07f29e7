"""Why a command was not carried out. Only `web` turns a refusal into a status code."""

from typing import Literal

Kind = Literal["invalid", "not_found", "conflict", "stale", "unavailable", "storage_full"]


class Refusal(Exception):
    """A command that changes nothing, and why.

    `kind` is stable and for programs, `sentence` tells a person what to do, `key` names the key
    of the request body that is at fault, where there is one.
    """

    def __init__(self, kind: Kind, sentence: str, key: str | None = None) -> None:
        super().__init__(sentence)
        self.kind: Kind = kind
        self.sentence = sentence
        self.key = key


def invalid(sentence: str, key: str | None = None) -> Refusal:
    """The request itself is wrong, whatever the state."""
    return Refusal("invalid", sentence, key)


def not_found(sentence: str) -> Refusal:
    """The subject does not exist."""
    return Refusal("not_found", sentence)


def conflict(sentence: str, key: str | None = None) -> Refusal:
    """The request contradicts the state."""
    return Refusal("conflict", sentence, key)


def stale(sentence: str) -> Refusal:
    """It was to be done only to a state that is not there any more."""
    return Refusal("stale", sentence)


def unavailable(sentence: str) -> Refusal:
    """The log cannot be reached or is too contended; nothing was changed, try again."""
    return Refusal("unavailable", sentence)
