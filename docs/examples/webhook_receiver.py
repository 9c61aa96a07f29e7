"""A receiver of webhooks: prints each event once, in order, and believes nobody without the secret.

    python webhook_receiver.py PORT FILE_WITH_SECRET

It needs the package `standardwebhooks`. What it was sent twice it knows by `webhook-id`; a receiver
that acts on events keeps the ids where it keeps what it did.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

SEEN: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    """One message at a time."""

    webhook: Webhook

    def do_POST(self) -> None:
        """Take it: 204. What is not signed with our secret is 401."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            event = self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
            self.end_headers()
            return
        if self.headers["webhook-id"] not in SEEN:
            SEEN.add(self.headers["webhook-id"])
            print(event["time"], event["type"], event["subject"], json.dumps(event.get("data")))
            sys.stdout.flush()
        # Only now: whatever is answered before is not sent again.
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """No line for each request."""


if __name__ == "__main__":
    Receiver.webhook = Webhook(Path(sys.argv[2]).read_text().strip())
    with HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver) as server:
        print(f"listening on port {server.server_port}", flush=True)
        server.serve_forever()
