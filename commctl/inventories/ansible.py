"""Ansible's inventories, INI and YAML: hosts, groups, groups of groups, and variables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commctl.exits import WrongUse
from commctl.inventories.entry import Entry, broken, expanded, labels_of, port_of

HEADING = re.compile(r"\[([^]:]+)(?::(children|vars))?\]\s*(?:[#;].*)?")
IMPLIED = ("all", "ungrouped")
LABELS = "commissaire_labels"
"""The variable in which `commctl host list -o ansible` has the labels of a host."""
NAME_LABEL = "name"
"""The label for what a host is called in the inventory, where its address is another."""
LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")

# Any: variables, as YAML has them.
Variables = dict[str, Any]


@dataclass
class Group:
    """A group: variables of hosts in it, in order, variables of all of them, and groups in it."""

    hosts: dict[str, Variables] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)
    children: list[str] = field(default_factory=list)


Groups = dict[str, Group]


def read_ansible(text: str) -> Iterator[Entry]:
    """The hosts of an inventory, whichever form it has. Raises WrongUse."""
    significant = (line.strip() for line in text.splitlines())
    first = next((line for line in significant if line and line[0] not in "#;"), "")
    is_yaml = first.startswith(("---", "all:", "{")) or (
        first.rstrip().endswith((":", "{}")) and " " not in first.strip(":")
    )
    return read_yaml(text) if is_yaml else _entries(_ini(text))


def read_yaml(text: str, name: str = "The inventory") -> Iterator[Entry]:
    """The hosts of an inventory in YAML. Raises WrongUse with the line that is none."""
    return _entries(_yaml(text, name))


def _ini(text: str) -> Groups:
    groups: Groups = {"ungrouped": Group()}
    name, what = "ungrouped", None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and (heading := HEADING.fullmatch(line)):
            name, what = heading[1].strip(), heading[2]
            groups.setdefault(name, Group())
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise WrongUse(f"Line {number} of the inventory: {error}.") from None
        if what == "children":
            groups[name].children.append(words[0])
            groups.setdefault(words[0], Group())
        elif what == "vars":
            key, _, value = line.partition("=")
            groups[name].variables[key.strip()] = value.strip().strip("'\"")
        else:
            pairs = dict(word.partition("=")[::2] for word in words[1:])
            for host in expanded(words[0]):
                groups[name].hosts.setdefault(host, {}).update(pairs)
    return groups


def _yaml(text: str, file: str) -> Groups:
    import yaml

    try:
        told = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongUse(f"{file} is no YAML: line {line}: {error.problem}.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise WrongUse(f"{file} is no YAML: line {line}: {error.reason}.") from None
    except (ValueError, RecursionError) as error:  # such as the 31st of February
        raise WrongUse(f"{file} is no YAML: {error}.") from None
    groups: Groups = {}
    if not isinstance(told, dict):
        raise WrongUse(f"{file} has no groups.")
    for name, group in told.items():
        _add(groups, str(name), group)
    return groups


def _add(groups: Groups, name: str, told: Any) -> None:
    group = groups.setdefault(name, Group())
    if told is None:
        return
    told = _mapping(told, f"Group {name}")
    for pattern, variables in _mapping(told.get("hosts"), f"hosts of group {name}").items():
        for host in expanded(str(pattern)):
            group.hosts.setdefault(host, {}).update(_mapping(variables, f"Host {host}"))
    group.variables.update(_mapping(told.get("vars"), f"vars of group {name}"))
    for child, inside in _mapping(told.get("children"), f"children of group {name}").items():
        group.children.append(str(child))
        _add(groups, str(child), inside)


def _mapping(told: Any, what: str) -> Variables:
    if told is not None and not isinstance(told, dict):
        raise WrongUse(f"{what} of the inventory is no mapping.")
    return told or {}


def _entries(groups: Groups) -> Iterator[Entry]:
    parents: dict[str, list[str]] = {}
    for name, group in groups.items():
        for child in group.children:
            parents.setdefault(child, []).append(name)
    of_host: dict[str, list[str]] = {}
    for name, group in groups.items():
        for host in group.hosts:
            of_host.setdefault(host, []).append(name)
    for host, direct in of_host.items():
        variables: Variables = dict(groups["all"].variables) if "all" in groups else {}
        for name in sorted(direct, key=lambda n: len(_above(n, parents))):
            for each in (*reversed(_above(name, parents)), name):
                variables |= groups[each].variables
        for name in direct:
            variables |= groups[name].hosts[host]
        yield _entry(host, variables, tuple(name for name in direct if name not in IMPLIED))


def _above(name: str, parents: dict[str, list[str]]) -> list[str]:
    """The groups that a group is in, the nearest first; a circle is gone through once."""
    found: list[str] = []
    waiting = list(parents.get(name, ()))
    while waiting:
        one = waiting.pop(0)
        if one not in found:
            found.append(one)
            waiting += parents.get(one, ())
    return found


def _entry(host: str, variables: Variables, groups: tuple[str, ...]) -> Entry:
    def said(*names: str) -> str | None:
        return next((str(variables[name]) for name in names if variables.get(name)), None)

    address = said("ansible_host", "ansible_ssh_host") or host
    user, port = said("ansible_user", "ansible_ssh_user"), said("ansible_port", "ansible_ssh_port")
    key = said("ansible_ssh_private_key_file", "ansible_private_key_file")
    for value in (address, user, port, key):
        if value and "{{" in value:
            return broken(host, f"{value!r} is a template of Ansible, which is not filled in here.")
    if said("ansible_connection") == "local":
        return broken(host, "ansible_connection is local: it has no address.")
    try:
        told = variables.get(LABELS) or {}
        labels = labels_of(told) if isinstance(told, str) else {str(k): str(told[k]) for k in told}
        if address != host and LABEL_VALUE.fullmatch(host):
            labels.setdefault(NAME_LABEL, host)
        return Entry(
            address,
            user,
            port_of(port) if port else None,
            key=Path(key).expanduser() if key else None,
            labels=labels,
            groups=groups,
        )
    except (ValueError, TypeError) as error:
        return broken(host, str(error))
