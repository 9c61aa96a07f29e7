"""Proofs from the Merkle tree of the log, for whoever does not trust those who keep it."""

from base64 import b64encode
from collections.abc import Callable

from domain.log import recorder
from domain.log.recorder import POSITION_MAX
from domain.log.transaction import Transaction
from domain.log.tree import kept
from domain.log.tree.checkpoint import Signed
from domain.log.tree.kept import BrokenTree
from domain.log.tree.leaf import leaf
from domain.refusal import invalid, not_found, unavailable
from projections.reads import Reads
from web.http.query_string import number, parameters
from web.http.replies import Reply, json_body
from web.http.requests import Request

Sign = Callable[[Transaction], Signed]
PARAMETERS = ("position", "from", "to")


def nobody_signs(tx: Transaction) -> Signed:
    """Where there are no keys."""
    raise unavailable("This process has no key of the log.")


class Proofs:
    """The handlers of `/log/checkpoint` and `/log/proof`."""

    def __init__(self, reads: Reads, sign: Sign) -> None:
        self._reads = reads
        self._sign = sign

    async def checkpoint(self, request: Request) -> Reply:
        """What the Merkle tree of the log is now: its size, its root, and who signed that."""
        signed = await self._reads.fresh(self._sign)
        return Reply(json_body(record(signed)))

    async def proof(self, request: Request) -> Reply:
        """That the event at a `position` is in the log, or that the log continues what it was.

        The tree is the one of `to` events, or the whole. `commissaire log verify` has the code
        that takes them, and so has any tool that knows RFC 6962.
        """
        given = parameters(request.scope["query_string"], PARAMETERS)
        if ("position" in given) == ("from" in given):
            raise invalid("Say either position, or from (and to).", "position")
        what = "position" if "position" in given else "from"
        low = 1 if what == "position" else 0
        asked = number(given[what], what, low, POSITION_MAX)
        to = number(given["to"], "to", 0, POSITION_MAX) if "to" in given else None
        prove = included if what == "position" else continued
        return Reply(json_body(await self._reads.fresh(prove, asked, to)))


def record(signed: Signed) -> dict[str, object]:
    """A checkpoint as clients get it."""
    return {
        "size": signed.checkpoint.size,
        "root": _text(signed.checkpoint.root),
        "position": signed.position,
        "time": signed.checkpoint.time,
        "key": signed.key,
        "checkpoint": signed.note,
    }


def included(tx: Transaction, position: int, to: int | None) -> dict[str, object]:
    """The proof that an event is in the tree of a size. Refuses where it is not."""
    try:
        size = _size(tx, to)
        number = kept.leaf_of(tx, position, size)
        rows = recorder.rows(tx, position - 1, 1, position)
        if number is None or not rows:
            raise not_found(f"There is no position {position} in the tree of {size} events.")
        path = kept.inclusion(tx, number, size)
    except BrokenTree as broken:
        raise unavailable(f"The tree of the log cannot be used: {broken}.") from None
    return {
        "size": size,
        "root": _text(path.root),
        "hashes": [_text(each) for each in path.hashes],
        "position": position,
        "leaf": number,
        **_row(leaf(*rows[0])),
    }


def continued(tx: Transaction, older: int, to: int | None) -> dict[str, object]:
    """The proof that the tree of one size continues that of an older one."""
    try:
        size = _size(tx, to)
        if older > size:
            raise invalid(f"from must not be more than {size}, the size of the tree.", "from")
        path = kept.consistency(tx, older, size)
    except BrokenTree as broken:
        raise unavailable(f"The tree of the log cannot be used: {broken}.") from None
    return {
        "size": size,
        "root": _text(path.root),
        "hashes": [_text(each) for each in path.hashes],
        "older_size": older,
        "older_root": _text(path.older_root),
    }


def _size(tx: Transaction, to: int | None) -> int:
    tree = kept.tree(tx)
    if tree.position < recorder.head(tx).position:
        raise unavailable("The tree of the log is being made: try again in a moment.")
    if to is not None and to > tree.frontier.size:
        raise not_found(f"The tree has {tree.frontier.size} events, not {to}.")
    return tree.frontier.size if to is None else to


def _row(content: bytes) -> dict[str, str]:
    try:
        return {"row": content.decode()}
    except UnicodeDecodeError:
        return {"row_base64": _text(content)}


def _text(content: bytes) -> str:
    return b64encode(content).decode()
