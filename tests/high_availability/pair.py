"""A primary with a streaming standby, and their failovers."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.postgres import HOST, PostgresServer
from tests.support.service import wait_for

REPLICATION = {"wal_level": "replica", "max_wal_senders": "10", "wal_keep_size": "256MB"}


class Pair:
    """`first` is the primary at the beginning, `second` its standby, which takes over."""

    def __init__(self) -> None:
        self.first = PostgresServer(settings=REPLICATION)
        self.second = PostgresServer(settings=REPLICATION, standby_of=self.first)
        self.database = self.first.create_database()

    @property
    def url(self) -> str:
        """Both servers in one URL, as libpq writes it."""
        hosts = ",".join(f"{HOST}:{server.port}" for server in (self.first, self.second))
        return self.first.url(self.database).replace(f"{HOST}:{self.first.port}", hosts)

    def wait_for_standby(self) -> None:
        """Until the standby has all that the primary wrote."""
        end = self.first.ask("SELECT pg_current_wal_lsn()::text")
        wait_for(lambda: self._received() >= _bytes(end))

    @contextmanager
    def standby_misses(self) -> Iterator[None]:
        """What the primary takes while the block runs never reaches the standby."""
        self.wait_for_standby()
        self.second.stop("fast")
        yield

    def fail_over(self) -> None:
        """The primary dies, and the standby takes over with what it has."""
        self.first.stop("immediate")
        self.second.start()
        self.second.promote()

    def switch_over(self) -> None:
        """As it is planned: the primary stops once the standby has all, which takes over."""
        self.wait_for_standby()
        self.first.stop("fast")
        self.second.promote()

    def be_synchronous(self, *, yes: bool = True) -> None:
        """Have commits wait for the standby, or not."""
        self.first.ask(
            "ALTER SYSTEM SET synchronous_standby_names = '*'"
            if yes
            else "ALTER SYSTEM RESET synchronous_standby_names"
        )
        self.first.ask("SELECT pg_reload_conf()")

    def discard(self) -> None:
        """Both, for good."""
        self.second.discard()
        self.first.discard()

    def _received(self) -> int:
        return _bytes(self.second.ask("SELECT pg_last_wal_replay_lsn()::text"))


def _bytes(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
