"""A list of hosts is brought in: many at once, a line a row, on after a refusal, also again."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from commctl.commands.hosts.bulk import AT_ONCE, Done
from commctl.exits import Ended, NoLogin, NoServer, Refused, WrongUse
from commctl.inventories.ansible import read_ansible, read_yaml
from commctl.inventories.csv_rows import NAMES, read_csv
from commctl.inventories.entry import Entry
from commctl.inventories.lines import read_lines
from commctl.login.secret_files import read_private
from commctl.paths import in_path
from commctl.records import Host
from commctl.session import Session
from commctl.show.refusals import as_typed

READERS: dict[str, Callable[[str], Iterator[Entry]]] = {
    "csv": read_csv,
    "ansible": read_ansible,
    "lines": read_lines,
}
YAML = (".yml", ".yaml")
ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", re.ASCII)
GROUP_LABEL = "group."
"""What the label for a group is called: `group.web=yes`."""


def read_entries(text: str, form: str | None, name: str) -> list[Entry]:
    """The hosts of a text, in the form that is named, or that it looks like. Raises WrongUse."""
    if form is not None and form not in READERS:
        raise WrongUse(f"--format is one of {', '.join(READERS)}.")
    form = form or _form(text, name)
    if form == "ansible" and Path(name).suffix in YAML:
        return list(read_yaml(text, name))
    return list(READERS[form](text))


def _form(text: str, name: str) -> str:
    suffix = Path(name).suffix
    if suffix in (".csv", ".tsv"):
        return "csv"
    if suffix in (*YAML, ".ini"):
        return "ansible"
    lines = [line.strip() for line in text.splitlines()]
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    names = {part.strip().lower() for sign in ",;\t" for part in first.split(sign)}
    if names & NAMES.keys() and len(first.split()) <= first.count(",") + first.count(";") + 1:
        return "csv"
    marks = ("[", "---", "all:", "{")
    is_ansible = (
        first.startswith(marks)
        or "ansible_" in text
        or any(line.startswith("[") and line.endswith("]") for line in lines)
    )
    return "ansible" if is_ansible else "lines"


def grouped(entry: Entry, groups: str | None) -> Entry:
    """With what its groups become: a cluster, labels, or nothing."""
    if entry.broken or not entry.groups:
        return entry
    if groups == "labels":
        more = {f"{GROUP_LABEL}{name}": "yes" for name in entry.groups}
        return replace(entry, labels={**more, **entry.labels})
    if groups == "clusters" and entry.cluster is None:
        if len(entry.groups) > 1:
            some = ", ".join(entry.groups)
            return replace(
                entry, broken=f"It is in several groups ({some}): a host has one cluster."
            )
        return replace(entry, cluster=entry.groups[0])
    return entry


def repeats(entries: Sequence[Entry]) -> list[Entry | None]:
    """For each entry, the one before it that has the same address."""
    first: dict[str, Entry] = {}
    found: list[Entry | None] = []
    for entry in entries:
        before = None if entry.broken else first.setdefault(_canonical(entry.address), entry)
        found.append(None if before is entry else before)
    return found


def _canonical(address: str) -> str:
    try:
        return ip_address(address).compressed
    except ValueError:
        return address.lower()


def repeated(entry: Entry, before: Entry) -> str:
    """What becomes of an entry whose address was there. Refuses what contradicts the first one."""
    if replace(entry, address=before.address) != before:
        raise Refused("Its address is in this list twice, with other values the first time.")
    return "same line twice"


class Import:
    """Entries on their way into the service."""

    def __init__(self, use: Session, key: Path | None, *, dry_run: bool) -> None:
        self._api = use.api
        self._key = key
        self._dry_run = dry_run
        self._known: Mapping[str, Host] = {}
        self._refused: dict[str | None, tuple[str, ...]] = {}
        self._read_key = lru_cache(maxsize=None)(read_private)

    def run(self, entries: Sequence[Entry]) -> Iterator[Done]:
        """A line for each, in order. Raises NoServer or NoLogin."""
        from concurrent.futures import ThreadPoolExecutor

        self._known = {host["address"]: host for host in self._api.hosts()}
        clusters = {entry.cluster for entry in entries if entry.cluster} - {*self._api.clusters()}
        if self._key is not None:
            self._read_key(self._key)  # once, and before all else: it may be standard input
        if not self._dry_run:
            for name in sorted(clusters):
                self._make(name)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                yield from pool.map(self._one, entries, repeats(entries))
            finally:
                pool.shutdown(cancel_futures=True)

    def _make(self, cluster: str) -> None:
        try:
            self._api.put(f"cluster/{in_path(cluster)}")
        except (NoServer, NoLogin):
            raise
        except Ended as ended:  # told of each of its hosts
            self._refused[cluster] = ended.sentences

    def _one(self, entry: Entry, before: Entry | None) -> Done:
        try:
            if before is not None:
                return Done(entry.address, repeated(entry, before))
            return Done(entry.address, self._take(entry))
        except (NoServer, NoLogin):
            raise
        except Ended as ended:
            return Done(entry.address, "refused", " ".join(map(as_typed, ended.sentences)))

    def _take(self, entry: Entry) -> str:
        if entry.broken:
            raise Refused(entry.broken)
        if entry.cluster in self._refused:
            raise Refused(*self._refused[entry.cluster])
        key = entry.key or self._key
        if key is None:
            raise Refused("It has no key: say one for all with -k FILE.")
        private = self._read_key(key)
        known = self._known.get(entry.address.lower())
        if self._dry_run:
            if not ADDRESS.fullmatch(entry.address):
                raise Refused(f"{entry.address!r} is no host address.")
            return "same" if known else "would be added"
        record = self._api.register(
            entry.address, private, user=entry.user, port=entry.port, cluster=entry.cluster
        )
        known = self._known.get(record["address"])
        missing = {
            name: value
            for name, value in entry.labels.items()
            if known is None or known["labels"].get(name) != value
        }
        if missing:
            self._api.label(record["address"], missing)
        if known is None:
            return "added"
        return "labelled" if missing else "same"
