"""Hosts as rows of CSV, with the names of the columns in the first one."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from commctl.exits import WrongUse
from commctl.inventories.entry import Entry, broken, labels_of, port_of

NAMES = {
    "address": "address", "host": "address", "hostname": "address", "ip": "address",
    "name": "address", "user": "user", "remote_user": "user", "port": "port", "ssh_port": "port",
    "cluster": "cluster", "key": "key", "key_file": "key", "labels": "labels",
}  # fmt: skip
LABEL = "label:"
"""`label:role` is a column with the values of the label `role`."""
DELIMITERS = ",;\t"


def read_csv(text: str) -> Iterator[Entry]:
    """The hosts of a text. Raises WrongUse where the first row has no names that are known."""
    first = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=delimiter)
    names = [name.strip() for name in next(rows, [])]
    columns = [_known(name.lower(), name) for name in names]
    for column in columns:
        same = [name for name, known in zip(names, columns, strict=True) if known == column]
        if len(same) > 1:
            raise WrongUse(f"Several columns mean the {column}: {', '.join(same)}. Leave one.")
    if "address" not in columns:
        raise WrongUse(
            "The first row of CSV names the columns: address, user, port, cluster, key …"
        )
    for row in rows:
        if any(cell.strip() for cell in row):
            yield _entry(dict(zip(columns, (cell.strip() for cell in row), strict=False)))


def _known(lower: str, name: str) -> str:
    if lower.startswith(LABEL):
        return LABEL + name[len(LABEL) :]
    if lower not in NAMES:
        known = ", ".join(sorted({*NAMES.values()}))
        raise WrongUse(f"{name!r} is no column that is known ({known}, label:KEY).")
    return NAMES[lower]


def _entry(row: dict[str, str]) -> Entry:
    address = row.get("address", "")
    try:
        labels = labels_of(row.get("labels", ""))
        for name, value in row.items():
            if name.startswith(LABEL) and value:
                labels[name[len(LABEL) :]] = value
        return Entry(
            address,
            row.get("user") or None,
            port_of(row["port"]) if row.get("port") else None,
            row.get("cluster") or None,
            Path(row["key"]).expanduser() if row.get("key") else None,
            labels,
        )
    except ValueError as error:
        return broken(address, str(error))
