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
    """A text in lines of so many columns; a word that is longer is broken.

    A command to type stays on one line, where one is wide enough.
    """
    import textwrap

    if width(text) <= columns:
        return [text]
    whole = COMMAND.sub(
        lambda found: found[0].replace(" ", BOUND) if len(found[0]) <= columns else found[0], text
    )
    lines = textwrap.wrap(whole, max(columns, 1), break_on_hyphens=False)
    return [line.replace(BOUND, " ") for line in lines] or [""]
