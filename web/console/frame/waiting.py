"""What operations wait for, and for whom: who may end it, who holds it up, and until when."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.log.reading.search import Filter
from web.authentication.authentication import Identity
from web.console.frame.api import Api
from web.console.frame.figures import line
from web.console.frame.words import word
from web.events.histories import Histories
from web.http.requests import Request

WAITING_MAX = 20
"""Of so many operations in a list it is looked up since when and because of whom they wait."""
HOLDERS_MAX = 20
AWAY = ("failed", "investigating", "bootstrapping")
THEN = {"window": "It opens", "start": "It begins", "soak": "The soak ends", "members": "It ends"}
"""What happens at the end of a wait that has one."""
ASKED_AGAIN = "It is asked again every ten seconds."
TOKEN, SCHEDULES = "token:", "runner:schedules"

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Holder(NamedTuple):
    """A member that is away, why, and since when."""

    address: str
    why: str
    since: str


class Wait(NamedTuple):
    """What is waited for. `then` happens at `until`; `who` says what a person can do."""

    what: str
    reason: str
    until: str
    then: str
    since: str
    who: str
    holders: Sequence[Holder] = ()


class Waiting:
    """Looks up what stands behind a wait, where pages show it."""

    def __init__(self, api: Api, histories: Histories) -> None:
        self._api = api
        self._histories = histories

    async def lines(self, request: Request, records: Sequence[Record]) -> list[Record]:
        """Operations as lines, each with what it waits for."""
        left, lines = WAITING_MAX, []
        for record in records:
            wait = None
            if record["waits_for"] and not record.get("finished_at"):
                wait = await self.of(request, record) if left > 0 else _plain(record)
                left -= 1
            lines.append(line(record) | {"wait": wait})
        return lines

    async def of(self, request: Request, record: Record) -> Wait:
        """What stands behind the wait of one that waits."""
        wait = _plain(record)
        waits = Filter((f"operation/{record['id']}",), "operation.waits")
        told = (await self._histories.back(waits, None, 1)).records
        holders = await self._away(request, record["cluster"]) if wait.what == "members" else []
        return wait._replace(since=told[0]["time"] if told else "", holders=holders)

    async def _away(self, request: Request, cluster: str) -> list[Holder]:
        """Members that hold a lock, and those that are not well."""
        locks = await self._api.get(request, "/cluster/{name}/locks", name=cluster)
        found = [
            Holder(lock["address"], f"holds a lock as {lock['id']}", lock["since"])
            for lock in locks[:HOLDERS_MAX]
        ]
        for status in AWAY:
            limit = HOLDERS_MAX - len(found)
            if limit > 0:
                query = {"cluster": cluster, "status": status, "limit": str(limit)}
                hosts = await self._api.get(request, "/fleet/hosts", query)
                found += [Holder(host["address"], _unwell(host), host["since"]) for host in hosts]
        return found


def waits_for_approval(record: Record) -> bool:
    """Whether somebody has to approve its next wave."""
    wait = record["waits_for"]
    return bool(wait) and wait["what"] == "approval" and not record["cancelling"]


def why_not(who: Identity, record: Record) -> str:
    """Why somebody may not approve the next wave, as far as pages know; "" where they may."""
    if not who.may_act_in(record["cluster"], "operator"):
        return f"It takes the role operator in {record['cluster']}; an administrator gives it."
    if _is_of_second(record) and record["actor"] == who.user:
        return "You began it, and a second person has to approve."
    return ""


def _plain(record: Record) -> Wait:
    wait = record["waits_for"]
    what, until = wait["what"], wait["until"] or ""
    return Wait(what, wait["reason"], until, THEN.get(what, "Until"), "", _who(record, what))


def _who(record: Record, what: str) -> str:
    if what == "gate":
        return ASKED_AGAIN
    if what != "approval" or not record.get("waves"):
        return ""
    told = f"An operator of {record['cluster']} may approve it"
    return f"{told}, but not {_starter(record['actor'])}." if _is_of_second(record) else f"{told}."


def _is_of_second(record: Record) -> bool:
    if not record.get("waves"):
        return False
    approval: object = record["waves"][record["wave"] - 1]["approval"]
    return approval == "second"


def _starter(actor: str) -> str:
    if actor.startswith(TOKEN):
        return f"the owner of {actor.removeprefix(TOKEN)}, the token that began it"
    return "whoever defined its schedule" if actor == SCHEDULES else f"{actor}, who began it"


def _unwell(host: Record) -> str:
    return f"{word(host['status'])}: {host['reason']}" if host["reason"] else word(host["status"])
