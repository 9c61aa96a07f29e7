"""`Idempotency-Key`: a request that is sent again begins nothing again, for a day."""

import re
from hashlib import sha256

from domain.event import shifted
from domain.log.unit import Unit
from domain.refusal import conflict, invalid
from projections.beside_the_log import idempotency_keys
from projections.beside_the_log.idempotency_keys import Begun
from web.http.replies import json_body
from web.http.requests import Request
from web.schemas.bodies import Body

KEPT_S = 24 * 3600.0
HEADER = "Idempotency-Key"
KEY = re.compile(rb"[!-~]{1,255}")


class OnceOnly:
    """What a request with a key has begun; without a key nothing is remembered.

    A key is of whoever sends it: two who choose the same one do not meet.
    """

    def __init__(self, request: Request, body: Body) -> None:
        given = [v for name, v in request.scope["headers"] if name == HEADER.lower().encode()]
        if given and (len(given) > 1 or not KEY.fullmatch(given[0])):
            raise invalid(f"{HEADER} must be 1 to 255 visible ASCII characters, and once.")
        whose = request.identity.user.encode()
        self._key = sha256(whose + b"\0" + given[0]).hexdigest() if given else ""
        said = body.model_dump(mode="json", exclude_none=True)
        self._request = sha256(json_body(sorted(said.items()))).hexdigest()

    def begun(self, unit: Unit) -> str | None:
        """The operation that this request has begun before. Refuses another body."""
        if not self._key:
            return None
        found = idempotency_keys.begun(unit.tx, self._key, self._since(unit))
        if found is not None and found.request != self._request:
            raise conflict(
                f"This {HEADER} was sent with another body, and began operation {found.operation}:"
                " take another key."
            )
        return found.operation if found else None

    def remember(self, unit: Unit, operation: str) -> str:
        """Keep what the request has begun, in the transaction that begins it."""
        if self._key:
            begun, at, since = Begun(operation, self._request), unit.act.at, self._since(unit)
            unit.write_beside(lambda tx: idempotency_keys.keep(tx, self._key, begun, at, since))
        return operation

    def _since(self, unit: Unit) -> str:
        return shifted(unit.act.at, -KEPT_S)
