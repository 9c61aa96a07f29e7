"""Debian's Prometheus, with one rule that fires while a switch is on."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.service import wait_for

RULE = """
groups:
  - name: tests
    interval: 1s
    rules:
      - alert: HighErrorRate
        expr: trouble == 1
        labels:
          severity: page
"""
CONFIG = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [rules.yml]
scrape_configs:
  - job_name: switch
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""
LIMIT_S = 60.0


class Prometheus:
    """One that runs; `trouble` is what its rule looks at."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.trouble = False


@contextmanager
def prometheus(directory: Path) -> Iterator[Prometheus]:
    """Runs while the context is open."""
    running = Prometheus("")

    class Switch(BaseHTTPRequestHandler):
        """What is scraped."""

        def do_GET(self) -> None:
            body = f"trouble {int(running.trouble)}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Nobody reads that."""

    directory.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Switch)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    (directory / "rules.yml").write_text(RULE)
    config = directory / "prometheus.yml"
    config.write_text(CONFIG.replace("{port}", str(server.server_port)))
    log = directory / "prometheus.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=lines,
            stderr=lines,
            cwd=directory,
        )

    def listens() -> str | None:
        assert process.poll() is None, log.read_text()
        found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', log.read_text())
        return found and found[1]

    try:
        running.url = f"http://{wait_for(listens, LIMIT_S)}"
        yield running
    finally:
        process.kill()
        process.wait()
        server.shutdown()
        server.server_close()
        thread.join()
