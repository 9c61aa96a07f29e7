"""Labels of hosts: keys and values as Kubernetes has them (its "Labels and Selectors").

A key is a name of up to 63 characters, and may have a DNS name and a slash before it. A value is
such a name, or empty.
"""

import re
from collections.abc import Mapping

from domain.names import quoted
from domain.refusal import invalid

LABELS_MAX = 64
"""So many a host may have."""
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
PART = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
PREFIX = re.compile(rf"{PART}(?:\.{PART})*", re.ASCII)
PREFIX_CHARACTERS_MAX = 253
KEY_CHARACTERS_MAX = PREFIX_CHARACTERS_MAX + len("/") + 63


def is_key(text: str) -> bool:
    """Whether it can be the key of a label."""
    prefix, slash, name = text.rpartition("/")
    if slash and not (len(prefix) <= PREFIX_CHARACTERS_MAX and PREFIX.fullmatch(prefix)):
        return False
    return NAME.fullmatch(name) is not None


def is_value(text: str) -> bool:
    """Whether it can be the value of a label."""
    return text == "" or NAME.fullmatch(text) is not None


def checked_labels(labels: Mapping[str, object]) -> dict[str, str]:
    """The labels, sorted by key, or a refusal that names what is wrong."""
    if len(labels) > LABELS_MAX:
        raise invalid(f"A host may have {LABELS_MAX} labels at most.")
    for key, value in labels.items():
        if not is_key(key):
            raise invalid(
                f"{quoted(key)} is no key of a label: use up to 63 of A-Z a-z 0-9 - _ . that begin"
                " and end with a letter or digit, perhaps after a DNS name and a slash."
            )
        if not isinstance(value, str) or not is_value(value):
            shown = quoted(value) if isinstance(value, str) else "The value"
            raise invalid(
                f"{shown} is no value of label {key}: use a string of up to 63 of"
                " A-Z a-z 0-9 - _ . that begins and ends with a letter or digit, or is empty."
            )
    return {key: str(labels[key]) for key in sorted(labels)}


def label_pair(text: str) -> tuple[str, str]:
    """`key=value` in two, or a refusal."""
    key, equals, value = text.partition("=")
    if not (equals and is_key(key) and is_value(value)):
        raise invalid(f"{quoted(text)} is no label: use KEY=VALUE.", "label")
    return key, value
