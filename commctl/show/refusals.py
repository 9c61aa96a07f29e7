"""Sentences of the API, where they name its requests, with what one types instead."""

import re

NO_SUCH = re.compile(
    r"There is no (host|cluster|network|container manager|operation) (\S+|'[^']*'):"
    r" (?:(?:register|create) it with PUT first|GET /api/v0/\w+ lists them)\."
)
CREATED_BY = {"host": "add", "operation": ""}
"""The verb that makes one; none where it is no name that was missing."""
REQUESTS = {
    "PUT /api/v0/operation/ID/approval": "commctl op approve ID",
    "PUT /api/v0/operation/ID/retry": "commctl op retry ID",
    "PUT /api/v0/host/ADDRESS/hostkey": "commctl host hostkey approve ADDRESS FINGERPRINT",
    "PUT /api/v0/host/ADDRESS/creds": "commctl host key rotate ADDRESS -k FILE",
}
NOUNS = {"container manager": "container-manager", "operation": "op"}


def as_typed(sentence: str) -> str:
    """The sentence, for who is at a command line."""
    found = NO_SUCH.fullmatch(sentence)
    if found is None:
        return sentence.replace("Say why in Commissaire-Note:", "Say why with --note:")
    kind, name = found.groups()
    noun = NOUNS.get(kind, kind)
    verb = CREATED_BY.get(kind, "create")
    more = f", or make it: commctl {noun} {verb}" if verb else ""
    return f"There is no {kind} {name}. Those there are: commctl {noun} list{more}"


def cure_typed(cure: str, operation: str = "ID") -> str:
    """What mends it, for who is at a command line; `operation` is its id, where it is of one."""
    for request, command in REQUESTS.items():
        cure = cure.replace(request, command.replace("ID", operation))
    return cure
