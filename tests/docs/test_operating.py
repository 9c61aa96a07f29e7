"""What `docs/operating.md` promises: tables, the unit of systemd, nginx before the service."""

import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from runners.observability.readiness import ACTIONS
from runners.os_support.log_lines import ServiceLog
from runners.settings.reading import read_settings
from tests.docs.documents import EXAMPLES, OPERATING, rows, section
from tests.fleet import new_key
from tests.fleet.addresses import free_port
from tests.support.certificates import Authority
from tests.support.service import DIE_WITH_US, Service, wait_for

LIMIT_S = 60.0
EXPOSURE_MAX = "20"
"""Of `systemd-analyze security`, in tenths; 100 is a service without any hardening."""
CLIENT = "127.0.0.5"
"""Another address of this machine, to come from."""
SPOOFED = "10.9.9.9"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that trusts a proxy on this machine, as the document starts it."""
    directory = tmp_path_factory.mktemp("operating")
    with Service(directory, None, "--trusted-proxy", "127.0.0.1/32") as running:
        yield running


def test_every_reason_not_to_be_ready_has_its_row_and_its_action() -> None:
    table = rows(section(OPERATING, "### When `/readyz` is red"))
    assert {kind.strip("`"): action for kind, action in table} == ACTIONS
    code = "".join(path.read_text() for path in (EXAMPLES.parents[1] / "runners").rglob("*.py"))
    assert set(re.findall(r'Fault\(\s*"([a-z_]+\.[a-z_]+)"', code)) == ACTIONS.keys()


def test_every_figure_has_its_row(service: Service) -> None:
    text = httpx.get(f"{service.url}/metrics").text
    served = {
        (f"{family.name}_total" if family.type == "counter" else family.name, family.type,
         family.documentation)
        for family in text_string_to_metric_families(text)
        if not family.name.startswith("process_")
    }  # fmt: skip
    table = rows(section(OPERATING, "### Figures"))
    assert {(name.strip("`"), kind, what) for name, kind, what in table} == served


def test_alerts_ask_for_figures_that_there_are(service: Service) -> None:
    text = httpx.get(f"{service.url}/metrics").text
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    document = yaml.safe_load((EXAMPLES / "alerts.yml").read_text())
    rules = document["groups"][0]["rules"]
    for rule in rules:
        for name in re.findall(r"commissaire_\w+", rule["expr"]):
            assert name.removesuffix("_bucket") in names, rule["alert"]
    assert len(rules) > 10


def test_the_alert_of_lost_log_lines_fires_when_the_reader_stalled_between_two_scrapes(
    tmp_path: Path,
) -> None:
    out, into = os.pipe()
    lines = ServiceLog(into)
    while lines.dropped == 0:
        lines.write("event", pad="x" * 3000)
    while b"log.dropped" not in os.read(out, 1 << 20):
        pass
    # Prometheus sees the counter before the reader stalled, and after it was told.
    rules = str(EXAMPLES / "alerts.yml")
    series = "commissaire_log_lines_dropped_total"
    case = {
        "rule_files": [rules],
        "tests": [
            {
                "interval": "30s",
                "input_series": [{"series": series, "values": f"0 0 {lines.dropped}x20"}],
                "alert_rule_test": [
                    {
                        "eval_time": "5m",
                        "alertname": "CommissaireLogLinesLost",
                        "exp_alerts": [{"exp_labels": {}}],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "lost.yml"
    file.write_text(yaml.safe_dump(case))
    told = subprocess.run(
        ["promtool", "test", "rules", file],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    os.close(out)
    os.close(into)


def test_every_file_of_the_data_directory_is_told_of(service: Service) -> None:
    told = [cell.strip("`") for row in rows(section(OPERATING, "## What is where"))
            for cell in row[0].split(", ")]  # fmt: skip
    # It is written beside the service, once the log has its tree.
    wait_for((service.data / "log.mark").exists, LIMIT_S)
    there = {path.name for path in service.data.iterdir()}
    assert there <= set(told)
    # With files of an older version, while read models are made anew, and with PostgreSQL.
    old = {"tokens.json", "users.json.taken-over", "tokens.json.taken-over"}
    assert set(told) - there == {*old, "rebuild.db", "log.json"}


def test_the_settings_of_the_document_are_settings(tmp_path: Path) -> None:
    toml = "".join(re.findall(r"```toml\n(.*?)```", OPERATING.read_text(), re.DOTALL))
    file = tmp_path / "commissaire.toml"
    file.write_text(toml)
    settings = read_settings({"config": str(file)}, {})
    assert str(settings.data) == "/var/lib/commissaire-service"
    assert [str(network) for network in settings.trusted_proxy] == ["127.0.0.1/32"]


def test_what_is_installed_has_every_file_that_the_program_needs(tmp_path: Path) -> None:
    root = EXAMPLES.parents[1]
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=LIMIT_S)
    (wheel,) = tmp_path.glob("*.whl")
    installed = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        str(path.relative_to(root))
        for floor in ("domain", "projections", "runners", "web")
        for path in (root / floor).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules", "lock"} & set(path.parts)
    }
    assert {"web/openapi/viewer/start.js", "runners/hosts/facts.sh"} <= needed <= installed


def test_systemd_takes_the_unit_and_finds_it_hard(tmp_path: Path) -> None:
    unit = tmp_path / "commissaire.service"
    text = (EXAMPLES / "commissaire.service").read_text()
    assert text.count("/opt/commissaire/bin/commissaire") == 1
    unit.write_text(text.replace("/opt/commissaire/bin/commissaire", sys.executable))
    checked = analyze("verify", "--man=no", str(unit))
    assert "commissaire.service" not in checked.stdout + checked.stderr
    analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", str(unit))


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments], check=True, capture_output=True, text=True, timeout=LIMIT_S
    )


class Upstream(Protocol):
    """What nginx stands before."""

    @property
    def url(self) -> str: ...


@contextmanager
def nginx(
    directory: Path, service: Upstream, authority: Authority, *others: Upstream
) -> Iterator[str]:
    """nginx with the configuration of the document, on other ports; gives its URL."""
    pair, port = authority.server(), free_port("127.0.0.1")
    site = (EXAMPLES / "nginx.conf").read_text()
    places = (httpx.URL(each.url).netloc.decode() for each in (service, *others))
    servers = " max_fails=0; server ".join(places)
    for said, here in (
        ("server 127.0.0.1:8000", f"server {servers}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/nginx/commissaire.crt", str(pair.certificate)),
        ("/etc/nginx/commissaire.key", str(pair.key)),
    ):
        assert site.count(said) == 1, said
        site = site.replace(said, here)
    (directory / "site.conf").write_text(site)
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {directory}/{name};" for name in temporary)
    main = directory / "nginx.conf"
    main.write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;"
        f"events {{}} http {{ access_log off; {paths} include {directory}/site.conf; }}"
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    process = subprocess.Popen([*DIE_WITH_US, program, "-c", str(main), "-e", "stderr"])
    try:
        wait_for(lambda: answers(port), LIMIT_S)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_behind_nginx_clients_are_who_they_are_and_connections_are_kept(
    tmp_path: Path, service: Service
) -> None:
    authority = Authority(tmp_path)
    transport = httpx.HTTPTransport(local_address=CLIENT, verify=authority.trust())
    auth = ("admin", service.password)
    spoof = {"X-Forwarded-For": SPOOFED}
    with (
        nginx(tmp_path, service, authority) as url,
        httpx.Client(base_url=url, transport=transport, auth=auth, timeout=LIMIT_S) as client,
    ):
        body = {"ssh_priv_key": b64encode(new_key().private).decode()}
        registered = client.put("/api/v0/host", json=body, headers=spoof)
        assert registered.json()["address"] == CLIENT
        for _ in range(40):
            assert client.get("/api/v0/hosts").status_code == 200
        assert client.get("/api/v0/host/10.0.0.1%2Fx").status_code == 404
        assert client.put("/api/v0/cluster/x", content=b" " * 1_500_000).status_code == 413
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/metrics").status_code == 404
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert service.client.delete(f"/host/{CLIENT}").status_code == 200
    text = httpx.get(f"{service.url}/metrics").text
    (connections,) = re.findall(r"^commissaire_http_connections (\S+)", text, re.MULTILINE)
    assert float(connections) < 10
    assert f'"client":"{CLIENT}"' in service.read_log()
    assert SPOOFED not in service.read_log()
