"""Hosts as an inventory of Ansible in YAML: a group for each cluster, labels as variables."""

import sys
from collections.abc import Iterable
from typing import Any

from commctl.show.text import json_text

UNGROUPED = "ungrouped"


def write_inventory(hosts: Iterable[Any]) -> None:
    """Write it to standard output."""
    groups: dict[str, list[Any]] = {}
    for host in hosts:
        groups.setdefault(host["cluster"] or UNGROUPED, []).append(host)
    say = sys.stdout.write
    say("all:\n  children:\n" if groups else "all: {}\n")
    for group in sorted(groups):
        say(f"    {_scalar(group)}:\n      hosts:\n")
        for host in groups[group]:
            labels = {_scalar(key): _scalar(value) for key, value in host["labels"].items()}
            told = f" {{commissaire_labels: {{{_pairs(labels)}}}}}" if labels else ""
            say(f"        {_scalar(host['address'])}:{told}\n")


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in labels.items())


def _scalar(text: str) -> str:
    """A string of JSON is one of YAML, whatever it looks like otherwise."""
    return json_text(text)
