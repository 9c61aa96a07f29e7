"""What a good engineer would send signed messages with: one connection that is kept, in order.

    python -m bench.anchors.posting URL COUNT

Nothing is read from a log, and nothing kept of what was taken: a crash would lose its place. It
ends with its standard input.
"""

import base64
import json
import secrets
import sys
from datetime import UTC, datetime

import httpx
import uvloop
from standardwebhooks import Webhook

LIMIT_S = 60.0
EVENT = {
    "specversion": "1.0",
    "source": "/api/v0",
    "type": "cluster.created",
    "time": "2026-11-30T12:00:00.000000Z",
    "datacontenttype": "application/json",
    "actor": "admin",
    "correlationid": secrets.token_hex(16),
    "data": {"network": "default", "container_manager": ""},
}


async def main(url: str, count: int) -> None:
    """The next one once this was taken."""
    signing = Webhook(base64.b64encode(secrets.token_bytes(32)).decode())
    async with httpx.AsyncClient(timeout=LIMIT_S, trust_env=False) as client:
        for number in range(count):
            now, id_ = datetime.now(UTC), f"evt_{number}"
            body = json.dumps({**EVENT, "id": str(number), "subject": f"cluster/c{number}"})
            headers = {
                "content-type": "application/cloudevents+json",
                "webhook-id": id_,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signing.sign(id_, now, body),
            }
            answer = await client.post(url, content=body, headers=headers)
            answer.raise_for_status()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
    sys.stdin.read()
