"""Text of strangers (hosts, users, the service) made harmless: it commands no terminal."""

import json
import re
import unicodedata

ODD_IN_JSON = re.compile(r"[^ -~]")
WIDE = "WF"
COMMAND = re.compile(r"(→ )?commctl [a-z][^→]*$")
BOUND = "\0"
"""Stands for a blank that no line ends at."""


def cleaned(text: str, *, lines: bool = False) -> str:
    """What may go to a terminal: a character that it could obey is shown, as in `\\x1b`.

    With `lines`, line ends and tabs stay.
    """
    if text.isprintable():
        return text
    keep = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON that holds no character that a terminal could obey."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return ODD_IN_JSON.sub(lambda found: _in_json(found[0]), text)


def _in_json(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return json.dumps(character)[1:-1]


def width(text: str) -> int:
    """How many columns a clean text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in WIDE else 1


def padded(text: str, columns: int) -> str:
    """With blanks, up to so many columns."""
    return text + " " * (columns - width(text))


def folded(text: str, columns: int) -> list[str]:
    """A text in lines of so many columns; a word that is longer begins a line, and is broken.

    A command to type stays on one line, where one is wide enough.
    """
    if width(text) <= columns:
        return [text]
    columns = max(columns, 2)  # of the widest character
    whole = COMMAND.sub(
        lambda found: found[0].replace(" ", BOUND) if width(found[0]) <= columns else found[0], text
    )
    lines, line = [], ""
    for word in whole.split(" "):
        told = f"{line} {word}" if line else word
        if width(told) <= columns:
            line = told
            continue
        lines.append(line)
        while width(word) > columns:
            part = _fitting(word, columns)
            lines.append(part)
            word = word[len(part) :]  # noqa: PLW2901 - what is left of it
        line = word
    return [told.rstrip().replace(BOUND, " ") for told in (*lines, line) if told.strip()] or [""]


def _fitting(word: str, columns: int) -> str:
    """As much of a word as so many columns have room for."""
    if word.isascii():
        return word[:columns]
    taken = 0
    for number, character in enumerate(word):
        taken += _columns(character)
        if taken > columns:
            return word[:number]
    return word
