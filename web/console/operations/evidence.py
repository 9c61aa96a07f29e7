"""What proves what became of a host in an operation: who asked, and each step as the log has it."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from domain.aggregates import operation_events as events
from web.console.frame.api import Api
from web.http.requests import Request

PAGE_EVENTS = 1_000
PAGES_MAX = 10
"""So many events of the operation are looked through, from the turn of the host on."""
OUTPUT = "/operation/{id}/hosts/{address}/output"
SENT = (events.StepSent.TOPIC, events.RebootRequested.TOPIC)
DIGEST, SIZE = "output_sha256", "output_bytes"

# Any: a record, as JSON has it.
Record = dict[str, Any]


async def evidence(api: Api, request: Request, operation: Record, host: Record) -> Record:
    """All of it, as JSON and pages have it. `is_cut`: not all events were looked through."""
    name, address = operation["id"], host["address"]
    (asked,) = await api.get(request, "/events", {"subject": f"operation/{name}", "limit": "1"})
    found, is_cut = await _events(api, request, name, host) if host["started_at"] else ([], False)
    told = steps([event for event in found if event["data"].get("address") == address])
    raw = (
        await api.call(request, "GET", OUTPUT, {"id": name, "address": address}, {"raw": ""})
    ).body
    return {
        "operation": name,
        "address": address,
        "asked": {
            "by": operation["actor"],
            "at": operation["started_at"],
            "note": operation["note"],
            "event": asked["id"],
        },
        "outcome": host["outcome"],
        "reason": host["reason"],
        "attempts": host["attempts"],
        "steps": told,
        "output": await asyncio.to_thread(_held, bytes(raw), host["evidence"]),
        "is_cut": is_cut,
    }


async def _events(api: Api, request: Request, name: str, host: Record) -> tuple[list[Record], bool]:
    """The events of the operation while it was the turn of the host."""
    query = {"subject": f"operation/{name}", "limit": str(PAGE_EVENTS)}
    query |= {"since": host["started_at"].rstrip("Z")}
    found: list[Record] = []
    for _ in range(PAGES_MAX):
        page, after = await api.page(request, "/events", query)
        found += page
        ended = host["finished_at"]
        if not after or (ended and page and page[-1]["at"] > ended):
            return found, False
        query |= {"after": after}
    return found, True


def steps(of_host: Sequence[Record]) -> list[Record]:
    """The steps of a host, from its events: when each was begun, sent and over, what proves that,
    and the positions of the events that say so.
    """
    found: list[Record] = []
    for event in of_host:
        data, at = event["data"], event["at"]
        step = data.get("step") or ("reboot" if event["type"] == SENT[1] else "")
        if not found or (step and found[-1]["step"] not in ("", step)):
            found.append(_step(step, at))
        now = found[-1]
        now["step"] = now["step"] or step
        now["events"].append({"id": event["id"], "type": event["type"], "at": at})
        if event["type"] in SENT:
            now["sent"] = now["sent"] or at
        if "evidence" in data:
            now["ended"], now["evidence"] = at, data["evidence"]
        if "next" in data:
            found.append(_step(data["next"], at))
    return found


def _step(name: str, begun: str) -> Record:
    return {"step": name, "begun": begun, "sent": None, "ended": None, "evidence": {}, "events": []}


def _held(said: bytes, proof: Record) -> Record:
    """What is kept of the output, held against the digest in the log; `is_as_logged` is None where
    one of them is not there (any more)."""
    digest = hashlib.sha256(said).hexdigest()
    logged = proof.get(DIGEST)
    is_kept = bool(said) or proof.get(SIZE) == 0
    return {
        "bytes": len(said),
        "sha256": digest if is_kept else None,
        "sha256_in_log": logged,
        "is_as_logged": digest == logged if logged and is_kept else None,
    }
