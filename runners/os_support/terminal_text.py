"""Text of strangers (hosts, users, files) made safe for a terminal and for one line of a log."""


def printable(text: str) -> str:
    """One line; a blank stands for each character that a terminal could take for a command."""
    return "".join(c if c.isprintable() else " " for c in text)


def escaped(text: str) -> str:
    """One line; such a character is shown as Python writes it, as in `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
