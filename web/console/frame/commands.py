"""How to do the same without a browser: as `commctl` and as curl."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from web.authentication.sessions import is_secure
from web.http.requests import Request


class Commands(NamedTuple):
    """One thing that can be done, or looked at, in two ways."""

    commctl: str
    curl: str


# Any: a body in JSON.
def commands(
    request: Request,
    words: Sequence[str],
    path: str,
    verb: str = "GET",
    body: Any = None,
    *,
    note: str = "",
    script: str = "",
) -> Commands:
    """`words` come after `commctl`, and are quoted for a shell here, whoever said them: a link may
    have. `path` is below `/api/v0`; names in it are encoded. `script`: the file with the `script`
    of the body, which is too long for a line.
    """
    scheme = "https" if is_secure(request.scope) else "http"
    address = f"{scheme}://{request.headers.get('host', 'localhost:8000')}/api/v0{path}"
    typed, parts, before = ["commctl", *words], ["curl", "-nf"], ""
    if verb != "GET":
        parts += ["-X", verb]
    parts.append(address)
    if note:
        typed += ["--note", note]
        parts += ["-H", f"Commissaire-Note: {note}"]
    if script:
        told = f"{json.dumps(body)} + {{$script}}"
        before = shlex.join(["jq", "-n", "--rawfile", "script", script, told]) + " | "
        parts += ["--data", "@-"]
    elif body is not None:
        parts += ["--data", json.dumps(body)]
    return Commands(shlex.join(typed), before + shlex.join(parts))


def release(request: Request, lock: Mapping[str, str]) -> Commands:
    """How an administrator frees the slot of a host that will not say so itself."""
    cluster, address = lock["cluster"], lock["address"]
    path = f"/cluster/{quote(cluster, safe='')}/locks/{quote(address, safe='')}"
    return commands(request, ("lock", "release", cluster, address), path, "DELETE")
