"""Hosts line by line: `[USER@]ADDRESS[:PORT] [KEY=VALUE]…`; `#` begins a comment."""

from collections.abc import Iterator

from commctl.inventories.entry import Entry, broken, labels_of, port_of


def read_lines(text: str) -> Iterator[Entry]:
    """The hosts of a text."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield _entry(words[0], " ".join(words[1:]))


def _entry(place: str, labels: str) -> Entry:
    user, at, address = place.rpartition("@")
    port = None
    try:
        # An IPv6 address has colons of its own, unless it stands in brackets.
        if address.startswith("["):
            address, _, rest = address[1:].partition("]")
            port = port_of(rest[1:]) if rest.startswith(":") else None
        elif address.count(":") == 1:
            address, _, number = address.partition(":")
            port = port_of(number)
        return Entry(address, user if at else None, port, labels=labels_of(labels))
    except ValueError as error:
        return broken(place, str(error))
