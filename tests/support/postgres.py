"""A PostgreSQL server of the tests' own: real, disposable, gone when the test process is.

made → running ⇄ stopped → discarded
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql

from tests.fleet.addresses import free_port
from tests.support import leftovers

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30
POLL_S = 0.02

HOST = "127.0.0.1"

SUPERUSER = "postgres"
# The product's account owns its database and nothing more.
OWNER = "commissaire"

Command = list[str | Path]
StopMode = Literal["smart", "fast", "immediate"]
SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

SETTINGS = {
    # A test ends servers, but no test cuts the power: what a process wrote, the kernel has.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "logging_collector": "off",
}

# Waits until the test process closes its end of the pipe, by will or by dying, and then removes the
# server and its directory. A stale pid file may name somebody else's process by now: hence the look
# at its working directory, which is the data directory for a postmaster.
GUARD = """
directory=$1
read -r _
pid=$(head -n 1 "$directory/data/postmaster.pid" 2>/dev/null)
lives() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$directory/data" ]; }
if lives; then kill -QUIT "$pid"; fi
for _ in $(seq 100); do
    lives || break
    sleep 0.1
done
rm -rf "$directory"
"""


class PostgresServer:
    """A server with one cluster, on a Unix socket and a loopback port of its own.

    `port` and `directory` stay the same over stops and starts. Made running.
    `enter` is put before its command lines, to run it in a namespace; then we must be root.
    `settings` are set on its command line; `standby_of` is a server that it follows.
    """

    def __init__(
        self,
        enter: Sequence[str] = (),
        settings: Mapping[str, str] = MappingProxyType({}),
        standby_of: "PostgresServer | None" = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="commissaire-postgres-")).resolve()
        self.log = self.directory / "log"
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._bin = find_binaries()
        self._account = _account()
        self._enter = enter
        self._settings = SETTINGS | dict(settings)
        self._databases = 0
        self._starting = leftovers.starting()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port(HOST)
        self._passwords: dict[str, str] = {}
        if standby_of is not None:
            self._passwords |= standby_of._passwords
            self._copy(standby_of)
            self.start()
            return
        self._passwords |= {name: secrets.token_urlsafe(16) for name in (SUPERUSER, OWNER)}
        self._make_cluster()
        self.start()
        with self._superuser() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(OWNER), sql.Literal(self._passwords[OWNER])
                )
            )

    def is_running(self) -> bool:
        """Whether the server's first process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return when it answers; nothing happens when it runs already."""
        if self.is_running():
            return
        settings = self._settings | {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
        }
        command: Command = [self._bin / "postgres", "-D", self.directory / "data"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log, self._starting():
            self._process = self._spawn(command, log.fileno())
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with self._superuser():
                    return
            except psycopg.OperationalError:
                if not self.is_running() or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.read_log()}") from None
            time.sleep(POLL_S)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server, as `pg_ctl stop` does; `immediate` is a crash that has to be recovered.

        Raises subprocess.TimeoutExpired: for `smart`, when clients stay connected.
        """
        if self._process is not None:
            self._process.send_signal(SIGNALS[mode])
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start again, on the same port with the same data; connections are lost."""
        self.stop(mode)
        self.start()

    def discard(self) -> None:
        """Stop the server for good and remove all that it wrote."""
        self.stop("immediate")
        self._guard.communicate(timeout=STOP_TIMEOUT_S)

    def create_database(
        self, template: str = "template1", *, tablespace: str = "pg_default"
    ) -> str:
        """Make a database of its own for somebody, a copy of `template`; returns its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        # By files: half the CPU of the other way, which writes all of them ahead as well.
        statement = sql.SQL(
            "CREATE DATABASE {} OWNER {} TEMPLATE {} TABLESPACE {} STRATEGY file_copy"
        ).format(*map(sql.Identifier, (name, OWNER, template, tablespace)))
        with self._superuser() as connection:
            connection.execute(statement)
        return name

    def create_tablespace(self, name: str, directory: Path, place: Path) -> None:
        """Let databases be in an empty directory, which the server sees as `place`."""
        if self._account is not None:
            os.chown(directory, self._account.pw_uid, self._account.pw_gid)
        statement = sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(
            sql.Identifier(name), sql.Literal(str(place))
        )
        with self._superuser() as connection:
            connection.execute(statement)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with self._superuser() as connection:
            connection.execute(statement)

    def url(self, database: str, user: str = OWNER) -> str:
        """The address of a database over TCP, with the password of `user` in it."""
        return f"postgresql://{user}:{self._passwords[user]}@{HOST}:{self.port}/{database}"

    def read_log(self) -> str:
        """What the server wrote so far, for a failed test to show."""
        return self.log.read_text(errors="replace")

    def promote(self) -> None:
        """Make a standby a primary, as an operator does at a failover."""
        with self._superuser() as connection:
            connection.execute("SELECT pg_promote(true)")

    def follow(self, primary: "PostgresServer") -> None:
        """Begin to run as the standby of another, whose log goes on from ours; until it is met."""
        data = self.directory / "data"
        written = "".join(
            f"\n{name} = '{value}'"
            for name, value in {
                "primary_conninfo": primary.url("postgres", SUPERUSER),
                "recovery_target_timeline": "latest",
            }.items()
        )
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"{written}\n")
        (data / "standby.signal").touch()
        self.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while primary.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") < 1:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not follow:\n{self.read_log()}")
            time.sleep(POLL_S)

    def ask(self, statement: LiteralString) -> Any:
        """As its superuser; gives the first column of the first row, where there are any."""
        with self._superuser() as connection:
            done = connection.execute(statement)
            row = done.fetchone() if done.description else None
        return None if row is None else row[0]

    def send(self, number: signal.Signals) -> None:
        """Send its first process, and those that it made, a signal such as SIGSTOP."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in (*map(int, children.read_text().split()), self._process.pid):
            os.kill(pid, number)

    @contextmanager
    def _superuser(self) -> Iterator[psycopg.Connection]:
        # Over its socket, in a directory for nobody else: a password costs 10 ms of CPU to check.
        with psycopg.connect(
            host=str(self.directory),
            port=self.port,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=START_TIMEOUT_S,
        ) as connection:
            yield connection

    def _make_cluster(self) -> None:
        password = self.directory / "password"
        password.write_text(self._passwords[SUPERUSER])
        self.log.touch()
        if self._account is not None:
            for path in (self.directory, password, self.log):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        command: Command = [self._bin / "initdb", "-D", self.directory / "data", "-U", SUPERUSER]
        command += [
            "--auth-host=scram-sha-256",
            "--auth-local=trust",
            f"--pwfile={password}",
            "--no-sync",
        ]
        command += ["--encoding=UTF8", "--locale=C.UTF-8"]
        with self.log.open("ab") as log:
            status = self._spawn(command, log.fileno()).wait(START_TIMEOUT_S)
        password.unlink()
        if status != 0:
            raise RuntimeError(f"initdb failed:\n{self.read_log()}")

    def _copy(self, primary: "PostgresServer") -> None:
        self.log.touch()
        if self._account is not None:
            for path in (self.directory, self.log):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        command: Command = [self._bin / "pg_basebackup", "-d", primary.url("postgres", SUPERUSER)]
        command += ["-D", self.directory / "data", "-R", "-c", "fast", "-X", "stream", "--no-sync"]
        with self.log.open("ab") as log:
            status = self._spawn(command, log.fileno()).wait(START_TIMEOUT_S)
        if status != 0:
            raise RuntimeError(f"pg_basebackup failed:\n{self.read_log()}")

    def _spawn(self, command: Command, output: int) -> subprocess.Popen[bytes]:
        """Run a program of PostgreSQL's, which refuse to run as root, as its account."""
        account = self._account
        if self._enter and account is not None:  # only root may enter
            ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}")
            command = [*self._enter, "setpriv", *ids, "--clear-groups", "--", *command]
            account = None
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the tests; they stop the server when they are ready.
            start_new_session=True,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )


def find_binaries() -> Path:
    """The directory with `initdb` and `postgres` of the newest version on this machine."""
    # Debian and Fedora's upstream packages keep versions side by side, off the PATH.
    found = [
        (int(path.parts[-3].removeprefix("pgsql-")), path.parent)
        for pattern in ("lib/postgresql/[1-9]*/bin/initdb", "pgsql-[1-9]*/bin/initdb")
        for path in Path("/usr").glob(pattern)
    ]
    if found:
        return max(found)[1]
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    raise RuntimeError("PostgreSQL's server is not installed; `make test` installs it")


def _account() -> pwd.struct_passwd | None:
    """The account to run the server as, or None for our own."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
