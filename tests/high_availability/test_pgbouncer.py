"""PgBouncer stands between the service and PostgreSQL, in both of its modes that can be used."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.test_operating import answers
from tests.end_to_end.processes.several import several
from tests.fleet.addresses import free_port
from tests.high_availability.pair import Pair
from tests.high_availability.test_log_went_back import QUIET, put
from tests.high_availability.traffic import lost, must_be_well
from tests.support.postgres import HOST, PostgresServer
from tests.support.service import DIE_WITH_US, Service, wait_for

CLIENTS = 6
CHANGES = 60


@contextmanager
def pgbouncer(directory: Path, server: PostgresServer, url: str, mode: str) -> Iterator[str]:
    """PgBouncer before a server; gives the URL through it."""
    parts, port = urlsplit(url), free_port("127.0.0.1")
    directory.mkdir()
    (directory / "users").write_text(f'"{parts.username}" "{parts.password}"\n')
    (directory / "ini").write_text(
        f"[databases]\n* = host={HOST} port={server.port}\n[pgbouncer]\nlisten_addr = {HOST}\n"
        f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {directory}/users\n"
        f"pool_mode = {mode}\ndefault_pool_size = 8\nunix_socket_dir =\n"
    )
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    ids = () if account is None else (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}")
    if account is not None:
        for path in (directory, directory / "users", directory / "ini"):
            os.chown(path, account.pw_uid, account.pw_gid)
        for parent in directory.parents:  # the way there, which is longer for one of many workers
            if not (mode_now := parent.stat().st_mode) & 0o001:
                parent.chmod(mode_now | 0o011)
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or "pgbouncer"
    command = [*DIE_WITH_US[:-1], *ids, *(("--clear-groups",) if ids else ()), "--", program]
    process = subprocess.Popen([*command, "-q", str(directory / "ini")])
    try:
        wait_for(lambda: answers(port))
        yield url.replace(f":{server.port}/", f":{port}/")
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_behind_a_pooler_everything_is_answered(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, mode: str
) -> None:
    with (
        pgbouncer(tmp_path / "pooler", postgres_server, postgres_url, mode) as url,
        Service(tmp_path / "service", url) as service,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):

        def change(number: int) -> tuple[int, int]:
            put = service.client.put(f"/cluster/c{number}").status_code
            return put, service.client.get(f"/cluster/c{number}").status_code

        assert set(clients.map(change, range(CHANGES))) == {(201, 200)}
        assert len(service.client.get("/clusters").json()) == CHANGES
        assert '"event":"request.failed"' not in service.read_log()


@pytest.mark.proof
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_failover_behind_poolers_is_noticed_and_lost_changes_are_named(
    pair: Pair, tmp_path: Path, mode: str
) -> None:
    to_first = pair.first.url(pair.database)
    to_second = to_first.replace(f":{pair.first.port}/", f":{pair.second.port}/")
    with (
        pgbouncer(tmp_path / "first", pair.first, to_first, mode) as first,
        pgbouncer(tmp_path / "second", pair.second, to_second, mode) as second,
    ):
        ports = [urlsplit(url).port for url in (first, second)]
        both = first.replace(f":{ports[0]}/", f":{ports[0]},{HOST}:{ports[1]}/")
        with several(2, tmp_path / "site", [both] * 2, *QUIET) as services:
            put(services[0], "kept")
            with pair.standby_misses():
                put(services[0], "lost")
            pair.fail_over()
            for name, service in zip(("after", "other"), services, strict=True):
                wait_for(lambda s=service, n=name: s.client.put(f"/cluster/{n}").is_success)  # type: ignore[misc]  # binds them
            assert lost(services[0]) == {("cluster.created", "cluster/lost")}
            must_be_well(*services)
